package orders

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events"
	"tillstream/events/project"
)

// collection holds one document per order.
const collection = "orders"

// ErrBadCursor is returned for a paging cursor that this API did not hand out.
var ErrBadCursor = errors.New("invalid cursor")

// Projections returns what this domain projects into the database: one document per order, which holds its whole state,
// for lists and the expiry sweep.
func (s *Service) Projections() []project.Projection { return Projections() }

// Projections is the same for programs that check the collections.
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

// overdue lists unpaid orders whose deadline has passed, at the pace that the database can bear.
func (s *Service) overdue(ctx context.Context, now time.Time) (ids []string, err error) {
	err = s.sweeping.Ask(func() error {
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
		return nil, fmt.Errorf("find overdue orders: %w", err)
	}
	return ids, nil
}

// query is one page of the orders list, newest first.
type query struct {
	Status  Status
	Payment PaymentStatus
	Text    string // an e-mail address, an order number or an id
	Limit   int
	Cursor  string
}

// list returns a page and the cursor of the next one, "" at the end.
func (s *Service) list(ctx context.Context, q query) ([]Order, string, error) {
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
		return nil, "", fmt.Errorf("list orders: %w", err)
	}
	var found []document
	if err := cursor.All(ctx, &found); err != nil {
		return nil, "", fmt.Errorf("list orders: %w", err)
	}
	orders := make([]Order, 0, len(found))
	for _, d := range found {
		orders = append(orders, d.Doc)
	}
	if len(orders) < q.Limit {
		return orders, "", nil
	}
	return orders, encodeCursor(orders[len(orders)-1]), nil
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

// A cursor is the last order of a page: when it was placed, and its id for those of the same millisecond.
func encodeCursor(last Order) string {
	return base64.RawURLEncoding.EncodeToString([]byte(last.PlacedAt.UTC().Format(time.RFC3339Nano) + " " + last.ID))
}

func olderThan(cursor string) (bson.E, error) {
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return bson.E{}, fmt.Errorf("%w: %.40q", ErrBadCursor, cursor)
	}
	at, id, _ := strings.Cut(string(data), " ")
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil || events.CheckID(id) != nil {
		return bson.E{}, fmt.Errorf("%w: %.40q", ErrBadCursor, cursor)
	}
	return bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: "doc.placed_at", Value: bson.D{{Key: "$lt", Value: t}}}},
		bson.D{{Key: "doc.placed_at", Value: t}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: id}}}},
	}}, nil
}
