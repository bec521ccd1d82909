package payments

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/index"
	"tillstream/events/lookup"
)

// Statuses returns all statuses of a payment, in the order in which a payment usually has them.
func Statuses() []Status {
	return []Status{StatusRequested, StatusIntentCreated, StatusRequiresAction, StatusProcessing, StatusAuthorized, StatusCaptured,
		StatusFailed, StatusCancelled, StatusPartlyRefunded, StatusRefunded}
}

type listInput struct {
	Status       Status `query:"status" enum:"requested,intent_created,requires_action,processing,authorized,captured,failed,cancelled,refunded,partly_refunded" doc:"List only payments with this status"`
	FailedRefund bool   `query:"failed_refund" doc:"List only payments of which a refund failed"`
	Dispute      string `query:"dispute" enum:"any,open" doc:"List only payments with a dispute or an inquiry of the bank, or with one that is not closed"`
	Q            string `query:"q" maxLength:"200" doc:"List only payments with this order number in any spelling, order id, payment id, or id of a PaymentIntent, charge or refund"`
	Limit        int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor       string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
}

// ListedPayment is a payment in the list for staff.
type ListedPayment struct {
	ID            string          `json:"id"`
	OrderID       string          `json:"order_id"`
	Number        string          `json:"number" doc:"Number of the order"`
	Status        Status          `json:"status"`
	Amount        events.Money    `json:"amount"`
	Captured      events.Money    `json:"captured"`
	Refunded      events.Money    `json:"refunded"`
	PaymentIntent string          `json:"payment_intent,omitempty"`
	Livemode      bool            `json:"livemode"`
	LastError     string          `json:"last_error,omitempty" doc:"Code of the last decline, or why the payment failed"`
	FailedRefunds int             `json:"failed_refunds,omitempty"`
	Disputes      []ListedDispute `json:"disputes,omitempty"`
	Settlement    *Settlement     `json:"settlement,omitempty" doc:"What Stripe has booked, in the currency in which the account is settled; absent before the first booking"`
	RequestedAt   time.Time       `json:"requested_at"`
	UpdatedAt     time.Time       `json:"updated_at"`
}

// ListedDispute is a dispute in the list for staff.
type ListedDispute struct {
	ID string `json:"id" doc:"dp_…"`
	Dispute
}

// ListedDisputes returns the disputes of a payment, sorted by their ids.
func (p Payment) ListedDisputes() []ListedDispute {
	var all []ListedDispute
	for _, id := range slices.Sorted(maps.Keys(p.Disputes)) {
		all = append(all, ListedDispute{id, p.Disputes[id]})
	}
	return all
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
	s.registerPayouts(router)
}

func (s *Service) list(ctx context.Context, in *listInput) (*listOutput, error) {
	page, err := s.index.Find(ctx, index.Query[Payment]{Limit: in.Limit, Cursor: in.Cursor}, in.condition(lookup.Parse(in.Q, s.log.Now().UTC())))
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	out := &listOutput{Body: ListBody{Payments: make([]ListedPayment, 0, len(page.Rows)), NextCursor: page.Next}}
	for _, p := range page.Rows {
		out.Body.Payments = append(out.Body.Payments, listed(p))
	}
	return out, nil
}

func listed(p Payment) ListedPayment {
	d := derive(p)
	row := ListedPayment{ID: p.ID, OrderID: p.OrderID, Number: p.Number, Status: d.Status, Amount: p.Amount, Captured: p.Captured, Refunded: d.Refunded,
		PaymentIntent: p.PaymentIntent, Livemode: p.Livemode, FailedRefunds: d.FailedRefunds, RequestedAt: p.RequestedAt, UpdatedAt: p.UpdatedAt}
	row.Disputes = p.ListedDisputes()
	if sum, ok := p.Settlement(); ok {
		row.Settlement = &sum
	}
	row.Captured.Currency = p.Amount.Currency // nothing captured has no currency
	switch {
	case p.Failure != nil:
		row.LastError = p.Failure.Code
	case p.LastError != nil:
		row.LastError = p.LastError.mostSpecific()
	}
	return row
}

// newIndex returns the list in which staff find payments.
func newIndex(logger *slog.Logger) *index.Index[Payment] {
	return index.New(logger, func(p *Payment) index.Place { return index.Place{Began: p.RequestedAt, ID: p.ID} },
		index.Fold[Payment]{Prefix: events.PrefixPayment, Apply: applyListed})
}

// applyListed is [Payment.Apply] for a list. The stored webhooks are left out, which a list does not show.
func applyListed(p Payment, e events.Event) (Payment, error) {
	if _, webhook := e.Payload.(events.WebhookReceived); webhook {
		return p, nil
	}
	p, err := p.Apply(e)
	if err == nil && !p.Exists() {
		err = fmt.Errorf("apply %s: the payment was not requested", e.Type)
	}
	p.Amount.Currency = unique.Make(p.Amount.Currency).Value() // one copy of each
	return p, err
}

// condition returns what a payment must meet to be listed.
func (in *listInput) condition(q lookup.Query) func(*Payment) bool {
	return func(p *Payment) bool {
		return (in.Status == "" || p.Status() == in.Status) && (!in.FailedRefund || failedRefunds(*p) > 0) &&
			(in.Dispute == "" || p.hasDispute(Dispute.Open) || in.Dispute == "any" && len(p.Disputes) > 0) && (q.Text == "" || p.named(q))
	}
}

// named reports whether a text names the payment by what staff have at hand: the number or the id of the order, the id of the
// payment, or one of Stripe's.
func (p *Payment) named(q lookup.Query) bool {
	for _, id := range []string{p.ID, p.OrderID} {
		if q.ID != "" && strings.EqualFold(id, q.ID) || q.UUID != "" && id == q.UUID {
			return true
		}
	}
	stripe := cmp.Or(q.Stripe, q.ID)
	return q.Number != "" && p.Number == q.Number || stripe != "" && p.hasStripe(stripe)
}

// hasStripe reports whether the payment has an object of Stripe, by its id.
func (p *Payment) hasStripe(id string) bool {
	for _, refund := range p.Refunds {
		if refund.StripeRefund == id {
			return true
		}
	}
	_, declined := p.Declines[id]
	_, disputed := p.Disputes[id]
	return p.PaymentIntent == id || p.Charge == id || declined || disputed
}
