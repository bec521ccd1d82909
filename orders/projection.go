package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/project"
)

// collection holds one document per order.
const collection = "orders"

// errDatabase is returned when the database cannot be reached or does not answer a query. The same query may succeed later.
var errDatabase = errors.New("database is unavailable")

// Projections returns the projections of this domain, for the process that runs them.
func (s *Service) Projections() []project.Projection { return Projections() }

// Projections returns the projections of this domain: one document per order with its whole state, for the list of orders
// and the expiry of unpaid ones.
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

// query selects a page of the list of orders, newest first.
type query struct {
	Status  Status
	Payment PaymentStatus
	Text    string // an e-mail address, an order number or an id
	Limit   int
	Cursor  string
}

// find returns a page of orders and the cursor of the next one, "" at the end. Errors: [api.ErrBadCursor], errDatabase.
func (s *Service) find(ctx context.Context, q query) ([]Order, string, error) {
	filter := bson.D{}
	if q.Status != "" {
		filter = append(filter, bson.E{Key: "doc.status", Value: q.Status})
	}
	if q.Payment != "" {
		filter = append(filter, bson.E{Key: "doc.payment_status", Value: q.Payment})
	}
	if q.Text != "" {
		filter = append(filter, textFilter(q.Text))
	}
	if q.Cursor != "" {
		older, err := olderThan(q.Cursor)
		if err != nil {
			return nil, "", err
		}
		filter = append(filter, older)
	}
	cursor, err := s.config.DB.Collection(collection).Find(ctx, filter,
		options.Find().SetSort(bson.D{{Key: "doc.placed_at", Value: -1}, {Key: "_id", Value: -1}}).SetLimit(int64(q.Limit)))
	if err != nil {
		return nil, "", fmt.Errorf("list orders: %w: %w", errDatabase, err)
	}
	var found []document
	if err := cursor.All(ctx, &found); err != nil {
		return nil, "", fmt.Errorf("list orders: %w", databaseError(err))
	}
	page := make([]Order, 0, len(found))
	for _, d := range found {
		page = append(page, d.Doc)
	}
	if len(page) < q.Limit {
		return page, "", nil
	}
	last := page[len(page)-1]
	return page, api.EncodeCursor(last.PlacedAt.UTC().Format(time.RFC3339Nano) + " " + last.ID), nil
}

// databaseError adds errDatabase to an error of the connection.
func databaseError(err error) error {
	if mongo.IsTimeout(err) || mongo.IsNetworkError(err) {
		return fmt.Errorf("%w: %w", errDatabase, err)
	}
	return err
}

func textFilter(text string) bson.E {
	switch {
	case strings.Contains(text, "@"):
		return bson.E{Key: "doc.customer.email", Value: strings.ToLower(text)}
	case len(text) == len("XXXXX-XXXXX"):
		return bson.E{Key: "doc.number", Value: strings.ToUpper(text)}
	}
	return bson.E{Key: "_id", Value: text}
}

// olderThan selects the orders after a cursor: placed before its order, or in the same millisecond and with a smaller id.
func olderThan(cursor string) (bson.E, error) {
	return api.DecodeCursor(cursor, func(key string) (bson.E, error) {
		at, id, _ := strings.Cut(key, " ")
		t, err := time.Parse(time.RFC3339Nano, at)
		if err = errors.Join(err, events.CheckID(id)); err != nil {
			return bson.E{}, err
		}
		return bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "doc.placed_at", Value: bson.D{{Key: "$lt", Value: t}}}},
			bson.D{{Key: "doc.placed_at", Value: t}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: id}}}},
		}}, nil
	})
}
