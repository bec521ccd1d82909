package orders

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events/project"
)

// collection holds one document per order.
const collection = "orders"

// Projections returns the projections of this domain, for the process that runs them.
func (s *Service) Projections() []project.Projection { return Projections() }

// Projections returns the projections of this domain: one document per order with its whole state, for the expiry of unpaid
// ones and for reports. Staff list and search orders in memory: see package index.
func Projections() []project.Projection {
	return []project.Projection{{Name: "orders.projection", Collections: []project.Collection{
		project.NewCollection(collection, Orders, func(_ string, o Order) any { return o },
			project.Index{Keys: []string{"-doc.placed_at"}},
			project.Index{Keys: []string{"doc.status", "-doc.placed_at"}},
			project.Index{Keys: []string{"doc.payment_status", "-doc.placed_at"}},
			project.Index{Keys: []string{"doc.number"}},
			project.Index{Keys: []string{"doc.customer.email"}}),
	}}}
}

type document struct {
	ID  string `bson:"_id"`
	Doc Order  `bson:"doc"`
}

// findExpired returns the ids of at most 1000 unpaid orders whose deadline is before now. If the database is slow it asks less
// often, and returns none in between.
func (s *Service) findExpired(ctx context.Context, now time.Time) (ids []string, err error) {
	err = s.expiryPace.Ask(func() error {
		cursor, err := s.config.DB.Collection(collection).Find(ctx, bson.D{
			{Key: "doc.status", Value: bson.D{{Key: "$in", Value: bson.A{Placed, AwaitingPayment}}}},
			{Key: "doc.expires_at", Value: bson.D{{Key: "$lt", Value: now}}},
		}, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}).SetLimit(1000))
		if err != nil {
			return err
		}
		var found []document
		if err := cursor.All(ctx, &found); err != nil {
			return err
		}
		for _, d := range found {
			ids = append(ids, d.ID)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find orders to expire: %w", err)
	}
	return ids, nil
}
