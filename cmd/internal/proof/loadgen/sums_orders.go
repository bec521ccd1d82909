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

// SumOrders sums the confirmed orders among these in the orders collection. ids are sorted. It waits until the projection has
// caught up with the log or ctx ends, and then returns the sum so far.
//
// It reads the collection once, and then only the orders that were not confirmed yet, one by one. FerretDB finds one id by its
// index, but reads the whole collection for any other filter, so that reading in chunks takes quadratic time.
func SumOrders(ctx context.Context, db *mongo.Database, ids []string, progress ProgressFunc) (Sum, error) {
	o := orderSums{sum: Sum{Source: "orders collection", Units: map[string]int64{}}, orders: db.Collection("orders"), progress: progress, total: len(ids)}
	if len(ids) == 0 {
		return o.sum, nil
	}
	behind, err := o.read(ctx, ids)
	if err != nil {
		return o.sum, fmt.Errorf("sum orders collection: %w", err)
	}
	for _, id := range behind {
		if err := o.await(ctx, id); err != nil {
			return o.sum, fmt.Errorf("sum orders collection: order %s: %w", id, err)
		}
	}
	return o.sum, nil
}

// orderSums sums confirmed orders.
type orderSums struct {
	sum      Sum
	orders   *mongo.Collection
	progress ProgressFunc
	total    int
}

// storedOrder is the part of an order's document that is read.
type storedOrder struct {
	ID  string `json:"_id"`
	Doc struct {
		Status   string             `json:"status"`
		Lines    []events.OrderLine `json:"lines"`
		Subtotal events.Money       `json:"subtotal"`
		Total    events.Money       `json:"total"`
	} `json:"doc"`
}

// read reads the collection and returns the ids that are not confirmed yet. It ignores the deadline of ctx: when the wait is
// over, the sum so far is still needed.
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

// await reads one order until it is confirmed or ctx ends, and then once more.
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
		_ = sleep(ctx, 500*time.Millisecond) // when ctx ends, the loop reads once more
	}
}

// add adds an order to the sum if it is confirmed, and reports whether it is.
func (o *orderSums) add(order storedOrder) (confirmed bool, err error) {
	if order.Doc.Status != "confirmed" {
		return false, nil
	}
	s := &o.sum
	for _, line := range order.Doc.Lines {
		s.addUnits(line.SKU, line.Quantity)
	}
	if s.Goods, err = total(s.Goods, order.Doc.Subtotal); err != nil {
		return false, err
	}
	if s.Revenue, err = total(s.Revenue, order.Doc.Total); err != nil {
		return false, err
	}
	s.Orders++
	o.progress("reading orders", s.Orders, o.total)
	return true, nil
}

// SumPayments sums what Stripe received for these orders, from its list of payment intents created since the run began. An
// order that was paid by two intents counts twice.
func (s *Shop) SumPayments(ctx context.Context, ids []string, since time.Time, progress ProgressFunc) (Sum, error) {
	sum := Sum{Source: "payments at Stripe"}
	ours := make(map[string]bool, len(ids))
	for _, id := range ids {
		ours[id] = true
	}
	err := s.intents(ctx, since, func(in intent) (err error) {
		if ours[in.Metadata["order_id"]] && in.AmountReceived > 0 {
			sum.Orders++
			sum.Revenue, err = total(sum.Revenue, in.received())
		}
		progress("reading payments", sum.Orders, len(ids))
		return err
	})
	return sum, err
}
