package payments

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events"
	"tillstream/events/api"
)

// errDatabase is returned when the database cannot be reached or does not answer a query. The same query may succeed later.
var errDatabase = errors.New("database is unavailable")

// Statuses returns all statuses of a payment, in the order in which a payment usually has them.
func Statuses() []Status {
	return []Status{StatusRequested, StatusIntentCreated, StatusRequiresAction, StatusProcessing, StatusAuthorized, StatusCaptured,
		StatusFailed, StatusCancelled, StatusPartlyRefunded, StatusRefunded}
}

type listInput struct {
	Status       Status `query:"status" enum:"requested,intent_created,requires_action,processing,authorized,captured,failed,cancelled,refunded,partly_refunded" doc:"List only payments with this status"`
	FailedRefund bool   `query:"failed_refund" doc:"List only payments of which a refund failed"`
	Q            string `query:"q" maxLength:"200" doc:"List only payments with this order number, order id, payment id or PaymentIntent"`
	Limit        int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor       string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
}

// ListedPayment is a payment in the list for staff.
type ListedPayment struct {
	ID            string       `json:"id"`
	OrderID       string       `json:"order_id"`
	Number        string       `json:"number" doc:"Number of the order"`
	Status        Status       `json:"status"`
	Amount        events.Money `json:"amount"`
	Captured      events.Money `json:"captured"`
	Refunded      events.Money `json:"refunded"`
	PaymentIntent string       `json:"payment_intent,omitempty"`
	LastError     string       `json:"last_error,omitempty" doc:"Code of the last decline, or why the payment failed"`
	FailedRefunds int          `json:"failed_refunds,omitempty"`
	RequestedAt   time.Time    `json:"requested_at"`
	UpdatedAt     time.Time    `json:"updated_at"`
}

// ListBody is a page of the list of payments.
type ListBody struct {
	Payments   []ListedPayment `json:"payments" nullable:"false"`
	NextCursor string          `json:"next_cursor,omitempty" doc:"Absent on the last page"`
}

type listOutput struct {
	Body ListBody
}

// registerStaff adds the routes that are for staff alone.
func (s *Service) registerStaff(router huma.API) {
	huma.Register(router, huma.Operation{OperationID: "list-payments", Method: http.MethodGet, Path: "/ops/api/payments", Tags: []string{"Staff"},
		Summary: "List payments, newest first", Security: api.StaffSecurity,
		Middlewares: huma.Middlewares{api.RequireStaff(router, s.config.Access, api.ReadAll)}, Errors: []int{400, 401, 403, 503}}, s.list)
}

func (s *Service) list(ctx context.Context, in *listInput) (*listOutput, error) {
	found, err := s.findListed(ctx, in)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	out := &listOutput{Body: ListBody{Payments: make([]ListedPayment, 0, len(found))}}
	for _, d := range found {
		out.Body.Payments = append(out.Body.Payments, listed(d))
	}
	if n := len(found); n == in.Limit {
		last := found[n-1]
		out.Body.NextCursor = api.EncodeCursor(last.RequestedAt.UTC().Format(time.RFC3339Nano) + " " + last.ID)
	}
	return out, nil
}

func listed(d document) ListedPayment {
	row := ListedPayment{ID: d.ID, OrderID: d.OrderID, Number: d.Number, Status: d.Status, Amount: d.Amount, Captured: d.Captured, Refunded: d.Refunded,
		PaymentIntent: d.PaymentIntent, FailedRefunds: d.FailedRefunds, RequestedAt: d.RequestedAt, UpdatedAt: d.UpdatedAt}
	row.Captured.Currency = d.Amount.Currency // nothing captured has no currency
	switch {
	case d.Failure != nil:
		row.LastError = d.Failure.Code
	case d.LastError != nil:
		row.LastError = d.LastError.mostSpecific()
	}
	return row
}

// findListed returns a page of payments from the projection. Errors: [api.ErrBadCursor], errDatabase.
func (s *Service) findListed(ctx context.Context, in *listInput) ([]document, error) {
	filter, err := in.filter()
	if err != nil {
		return nil, err
	}
	found, err := s.config.DB.Collection(collection).Find(ctx, filter, options.Find().
		SetSort(bson.D{{Key: "doc.requested_at", Value: -1}, {Key: "_id", Value: -1}}).SetLimit(int64(in.Limit)))
	if err != nil {
		return nil, fmt.Errorf("list payments: %w: %w", errDatabase, err)
	}
	var rows []struct {
		Doc document `bson:"doc"`
	}
	if err := found.All(ctx, &rows); err != nil {
		return nil, fmt.Errorf("list payments: %w: %w", errDatabase, err)
	}
	page := make([]document, len(rows))
	for i, row := range rows {
		page[i] = row.Doc
	}
	return page, nil
}

func (in *listInput) filter() (bson.D, error) {
	filter := bson.D{}
	if in.Status != "" {
		filter = append(filter, bson.E{Key: "doc.status", Value: in.Status})
	}
	if in.FailedRefund {
		filter = append(filter, bson.E{Key: "doc.failed_refunds", Value: bson.D{{Key: "$gt", Value: 0}}})
	}
	if in.Q != "" {
		filter = append(filter, textFilter(in.Q))
	}
	if in.Cursor == "" {
		return filter, nil
	}
	older, err := api.DecodeCursor(in.Cursor, olderThan)
	return append(filter, older), err
}

// textFilter selects by what staff have at hand: the number or the id of the order, the id of the payment, or Stripe's.
func textFilter(text string) bson.E {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "pi_"):
		return bson.E{Key: "doc.payment_intent", Value: text}
	case len(text) == len("XXXXX-XXXXX"):
		return bson.E{Key: "doc.number", Value: strings.ToUpper(text)}
	}
	text = strings.ToLower(text)
	return bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: bson.A{text, events.FirstPaymentID(text)}}}}
}

// olderThan selects the payments after a cursor: requested before its payment, or in the same millisecond and with a smaller id.
func olderThan(key string) (bson.E, error) {
	at, id, _ := strings.Cut(key, " ")
	t, err := time.Parse(time.RFC3339Nano, at)
	if err = errors.Join(err, events.CheckID(id)); err != nil {
		return bson.E{}, err
	}
	return bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: "doc.requested_at", Value: bson.D{{Key: "$lt", Value: t}}}},
		bson.D{{Key: "doc.requested_at", Value: t}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: id}}}},
	}}, nil
}
