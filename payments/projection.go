package payments

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events"
	"tillstream/events/project"
)

// collection holds one document per payment.
const collection = "payments"

// document is a payment in the collection: the whole state, and the derived fields that queries use.
type document struct {
	Payment  `bson:",inline"`
	Status   Status       `json:"status"`
	Refunded events.Money `json:"refunded"`
	// FailedRefunds is the number of refunds that failed and that no other refund replaces: staff must repay this money.
	FailedRefunds int `json:"failed_refunds"`
	// PendingRefunds is the number of refunds that Stripe has accepted and the bank has not paid.
	PendingRefunds int `json:"pending_refunds"`
}

// Projections returns the projections of this domain, for the process that runs them.
func (s *Service) Projections() []project.Projection { return Projections(s.logger) }

// Projections returns the projections of this domain: one document per payment, with which the reconciler finds open ones.
// Staff list and search payments in memory: see package index.
func Projections(logger *slog.Logger) []project.Projection {
	return []project.Projection{{Name: "payments.projection", Collections: []project.Collection{
		project.NewCollection(collection, Payments, documents(logger),
			project.Index{Keys: []string{"doc.status", "doc.updated_at"}},
			project.Index{Keys: []string{"doc.pending_refunds", "doc.updated_at"}}),
	}}}
}

func documents(logger *slog.Logger) func(string, Payment) any {
	return func(_ string, p Payment) any {
		if _, err := p.Refunded(); err != nil { // a bug: Apply refuses such a state
			logger.Error("sum up refunds", "payment", p.ID, "error", err)
		}
		return derive(p)
	}
}

// derive returns a payment with the fields that follow from its state.
func derive(p Payment) document {
	refunded, _ := p.Refunded() // the projection logs an error
	return document{Payment: p, Status: p.Status(), Refunded: refunded, FailedRefunds: failedRefunds(p), PendingRefunds: pendingRefunds(p)}
}

func failedRefunds(p Payment) (n int) {
	replaced := map[string]bool{}
	for _, refund := range p.Refunds {
		replaced[refund.Replaces] = true
	}
	for id, refund := range p.Refunds {
		if refund.Failed && !replaced[id] {
			n++
		}
	}
	return n
}

func pendingRefunds(p Payment) (n int) {
	for _, refund := range p.Refunds {
		if refund.Pending {
			n++
		}
	}
	return n
}

// openPayments returns the ids of payments that are open, or of which a refund is pending, and that have not changed since quietSince:
// the first ones after an id, in ascending order. It reads the projection, which may lag; decisions about the payments are made on the log.
func (s *Service) openPayments(ctx context.Context, after string, quietSince time.Time, limit int64) ([]string, error) {
	waiting := bson.A{StatusIntentCreated, StatusRequiresAction, StatusProcessing, StatusAuthorized}
	filter := bson.D{
		{Key: "$or", Value: bson.A{bson.D{{Key: "doc.status", Value: bson.D{{Key: "$in", Value: waiting}}}}, bson.D{{Key: "doc.pending_refunds", Value: bson.D{{Key: "$gt", Value: 0}}}}}},
		{Key: "doc.updated_at", Value: bson.D{{Key: "$lt", Value: quietSince}}},
		{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}},
	}
	found, err := s.config.DB.Collection(collection).Find(ctx, filter, options.Find().
		SetProjection(bson.D{{Key: "_id", Value: 1}}).SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(limit))
	if err != nil {
		return nil, fmt.Errorf("find open payments: %w", err)
	}
	var rows []struct {
		ID string `bson:"_id"`
	}
	if err := found.All(ctx, &rows); err != nil {
		return nil, fmt.Errorf("find open payments: %w", err)
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return ids, nil
}
