package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events"
)

// SumOrders says what the orders collection says of these orders: the confirmed ones. ids are sorted. It waits until the
// collection has caught up with the log or ctx ends; then it sums what is there.
//
// The collection is read once, and then only the orders that were behind are asked for, one by one. FerretDB finds an id by
// its index, but reads the whole collection for any other question, which asked chunk by chunk grows with the square
// of the orders.
func SumOrders(ctx context.Context, db *mongo.Database, ids []string, told Told) (Sum, error) {
	o := orderSums{sum: Sum{Source: "orders collection", Units: map[string]int64{}}, orders: db.Collection("orders"), told: told, total: len(ids)}
	if len(ids) == 0 {
		return o.sum, nil
	}
	behind, err := o.read(ctx, ids)
	if err != nil {
		return o.sum, fmt.Errorf("sum the orders collection: %w", err)
	}
	for _, id := range behind {
		if err := o.await(ctx, id); err != nil {
			return o.sum, fmt.Errorf("sum the orders collection: order %s: %w", id, err)
		}
	}
	return o.sum, nil
}

// orderSums sums confirmed orders as they are found.
type orderSums struct {
	sum    Sum
	orders *mongo.Collection
	told   Told
	total  int
}

// storedOrder is what is read of an order's document.
type storedOrder struct {
	ID  string `json:"_id"`
	Doc struct {
		Status   string             `json:"status"`
		Lines    []events.OrderLine `json:"lines"`
		Subtotal events.Money       `json:"subtotal"`
		Total    events.Money       `json:"total"`
	} `json:"doc"`
}

// read goes through the collection and returns the orders that it does not know as confirmed yet. The reading outlasts the
// waiting: a deadline that ends the wait must not turn into a sum of nothing.
func (o *orderSums) read(ctx context.Context, ids []string) (behind []string, err error) {
	ctx = context.WithoutCancel(ctx)
	ours := make(map[string]bool, len(ids))
	for _, id := range ids {
		ours[id] = true
	}
	between := bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: ids[0]}, {Key: "$lte", Value: ids[len(ids)-1]}}}}
	cursor, err := o.orders.Find(ctx, between, options.Find().SetBatchSize(1000))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cursor.Close(ctx)) }()
	for cursor.Next(ctx) {
		var order storedOrder
		if err := cursor.Decode(&order); err != nil {
			return nil, err
		}
		if !ours[order.ID] {
			continue
		}
		confirmed, err := o.add(order)
		if err != nil {
			return nil, err
		}
		if confirmed {
			delete(ours, order.ID)
		}
	}
	for _, id := range ids {
		if ours[id] {
			behind = append(behind, id)
		}
	}
	return behind, cursor.Err()
}

// await looks at one order until it is confirmed, or ctx ends, and then once more.
func (o *orderSums) await(ctx context.Context, id string) error {
	for {
		over := ctx.Err() != nil
		var order storedOrder
		err := o.orders.FindOne(context.WithoutCancel(ctx), bson.D{{Key: "_id", Value: id}}).Decode(&order)
		if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
			return err
		}
		if confirmed, err := o.add(order); confirmed || err != nil || over {
			return err
		}
		_ = pause(ctx, 500*time.Millisecond) // when the waiting is over, one more look
	}
}

// add sums a confirmed order and reports whether it is one.
func (o *orderSums) add(order storedOrder) (confirmed bool, err error) {
	if order.Doc.Status != "confirmed" {
		return false, nil
	}
	s := &o.sum
	for _, line := range order.Doc.Lines {
		s.add(line.SKU, line.Quantity)
	}
	if s.Goods, err = total(s.Goods, order.Doc.Subtotal); err != nil {
		return false, err
	}
	if s.Revenue, err = total(s.Revenue, order.Doc.Total); err != nil {
		return false, err
	}
	s.Orders++
	o.told("reading the orders", s.Orders, o.total)
	return true, nil
}
