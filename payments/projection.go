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
	// Unsettled: Stripe is expected to report a change of the intent or of a refund.
	Unsettled bool `json:"unsettled"`
}

// Projections returns the projections of this domain, for the process that runs them.
func (s *Service) Projections() []project.Projection { return Projections(s.logger) }

// Projections returns the projections of this domain: one document per payment, with which the reconciler finds open ones.
// Staff list and search payments in memory: see package index.
func Projections(logger *slog.Logger) []project.Projection {
	return []project.Projection{{Name: "payments.projection", Collections: []project.Collection{
		project.NewCollection(collection, Payments, documents(logger),
			project.Index{Keys: []string{"doc.unsettled", "doc.updated_at"}}),
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
	return document{Payment: p, Status: p.Status(), Refunded: refunded, FailedRefunds: failedRefunds(p), Unsettled: p.unsettled()}
}

func failedRefunds(p Payment) (n int) {
	for id, refund := range p.Refunds {
		if refund.Failed && !p.Replaced(id) {
			n++
		}
	}
	return n
}

// unsettled reports whether Stripe is expected to report a change: the intent has not ended, or a refund is pending.
func (p Payment) unsettled() bool { return p.Payable() || p.refundPending() }

// refundPending reports whether Stripe has accepted a refund that the bank has not paid yet. With some methods this takes weeks.
func (p Payment) refundPending() bool {
	for _, refund := range p.Refunds {
		if refund.Pending {
			return true
		}
	}
	return false
}

// unsettledPayments returns the ids of unsettled payments that have not changed since quietSince: the first ones after an id, in
// ascending order. It reads the projection, which may lag; decisions about the payments are made on the log.
func (s *Service) unsettledPayments(ctx context.Context, after string, quietSince time.Time, limit int64) ([]string, error) {
	filter := bson.D{
		{Key: "doc.unsettled", Value: true},
		{Key: "doc.updated_at", Value: bson.D{{Key: "$lt", Value: quietSince}}},
		{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}},
	}
	found, err := s.config.DB.Collection(collection).Find(ctx, filter, options.Find().
		SetProjection(bson.D{{Key: "_id", Value: 1}}).SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(limit))
	if err != nil {
		return nil, fmt.Errorf("find unsettled payments: %w", err)
	}
	var rows []struct {
		ID string `bson:"_id"`
	}
	if err := found.All(ctx, &rows); err != nil {
		return nil, fmt.Errorf("find unsettled payments: %w", err)
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return ids, nil
}
