package payments

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events"
	"tillstream/events/view"
)

const (
	collectionPayments = "payments"
	collectionArchive  = "payments_archive"
)

// document is a payment as it stands in the collection: the whole state, and what searches ask for.
type document struct {
	Payment  `bson:",inline"`
	Status   Status       `json:"status"`
	Refunded events.Money `json:"refunded"`
}

// Views returns what is remembered in MongoDB.
func (s *Service) Views() []view.View { return Views(s.logger) }

// Views is what is remembered, for those who check it.
func Views(logger *slog.Logger) []view.View {
	return []view.View{{Name: "payments-view", Stream: events.StreamPayments, Archive: collectionArchive,
		Collections: []view.Collection{view.Of(collectionPayments, Payments, documents(logger),
			view.Index{Keys: []string{"doc.status", "doc.updated_at"}},
			view.Index{Keys: []string{"doc.payment_intent"}})}}}
}

func documents(logger *slog.Logger) func(string, Payment) any {
	return func(_ string, p Payment) any {
		refunded, err := p.Refunded()
		if err != nil { // Evolve refuses such a state, so this is a fault to be seen
			logger.Error("sum up refunds", "order", p.OrderID, "error", err)
		}
		return document{Payment: p, Status: p.Status(), Refunded: refunded}
	}
}

// openPayments returns orders, by id from after on, whose payment waits for Stripe and has not changed since a time.
// It reads the view, so it may be a little behind; what is done about them looks at the log.
func (s *Service) openPayments(ctx context.Context, after string, quietSince time.Time, limit int64) ([]string, error) {
	waiting := bson.A{StatusIntentCreated, StatusRequiresAction, StatusProcessing, StatusAuthorized}
	filter := bson.D{
		{Key: "doc.status", Value: bson.D{{Key: "$in", Value: waiting}}},
		{Key: "doc.updated_at", Value: bson.D{{Key: "$lt", Value: quietSince}}},
		{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}},
	}
	found, err := s.config.DB.Collection(collectionPayments).Find(ctx, filter, options.Find().
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
