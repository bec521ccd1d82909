package loadgen

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
)

// SumOrders says what the orders collection says of these orders: the confirmed ones. It waits until the collection
// has caught up with the log or ctx ends; then it sums what is there.
func SumOrders(ctx context.Context, db *mongo.Database, ids []string, _ Told) (Sum, error) {
	for {
		sum, err := sumOrders(ctx, db, ids)
		if err != nil || sum.Orders == len(ids) || pause(ctx, 500*time.Millisecond) != nil {
			return sum, err
		}
	}
}

// storedOrder is what is read of an order's document.
type storedOrder struct {
	Doc struct {
		Status   string             `json:"status"`
		Lines    []events.OrderLine `json:"lines"`
		Subtotal events.Money       `json:"subtotal"`
		Total    events.Money       `json:"total"`
	} `json:"doc"`
}

func sumOrders(ctx context.Context, db *mongo.Database, ids []string) (Sum, error) {
	sum := Sum{Source: "orders collection", Units: map[string]int64{}}
	for chunk := range slices.Chunk(ids, 100) {
		// The reading outlasts the waiting: a deadline that ends the wait must not turn into a sum of nothing.
		cursor, err := db.Collection("orders").Find(context.WithoutCancel(ctx), bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: chunk}}}})
		if err != nil {
			return sum, fmt.Errorf("read the orders collection: %w", err)
		}
		var found []storedOrder
		if err := cursor.All(context.WithoutCancel(ctx), &found); err != nil {
			return sum, fmt.Errorf("read the orders collection: %w", err)
		}
		for _, order := range found {
			if err := sum.addOrder(order); err != nil {
				return sum, err
			}
		}
	}
	return sum, nil
}

func (s *Sum) addOrder(o storedOrder) (err error) {
	if o.Doc.Status != "confirmed" {
		return nil
	}
	s.Orders++
	for _, line := range o.Doc.Lines {
		s.add(line.SKU, line.Quantity)
	}
	if s.Goods, err = total(s.Goods, o.Doc.Subtotal); err != nil {
		return fmt.Errorf("sum the orders collection: %w", err)
	}
	if s.Revenue, err = total(s.Revenue, o.Doc.Total); err != nil {
		return fmt.Errorf("sum the orders collection: %w", err)
	}
	return nil
}
