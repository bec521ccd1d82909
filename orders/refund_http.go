package orders

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/text"
)

// registerRefunds adds the routes of refunds, which are for staff.
func (s *Service) registerRefunds(router huma.API) {
	huma.Register(router, huma.Operation{OperationID: "list-refunds", Method: http.MethodGet, Path: "/ops/api/orders/{id}/refunds", Tags: []string{"Staff"},
		Summary: "List the refunds of an order", Description: "And what can still be refunded: in all, of each line, and of the delivery.",
		Security: api.StaffSecurity, Middlewares: huma.Middlewares{api.RequireStaff(router, s.config.Access, api.ReadAll)}, Errors: []int{401, 403, 404, 503}}, s.listRefunds)
	huma.Register(router, huma.Operation{OperationID: "request-refund", Method: http.MethodPost, Path: "/ops/api/orders/{id}/refunds", Tags: []string{"Staff"},
		Summary: "Refund an order, in full or in part", DefaultStatus: http.StatusCreated, Security: api.StaffSecurity, MaxBodyBytes: api.MaxBody,
		Description: "`refundable` is the amount that you saw as still refundable. If it differs now, the answer is 409, so two members of staff make one refund. " +
			"The same request with the same Idempotency-Key makes one refund and gets the same answer. Units with `restock` go back to stock at once; only units that are not sent can. " +
			"Stripe makes the refund afterwards: GET tells how it ended.",
		Middlewares: huma.Middlewares{api.RequireStaff(router, s.config.Access, api.RefundOrders)}, Errors: []int{401, 403, 404, 409, 422, 503}}, s.requestRefund)
}

// RefundLineRequest is a line of a [RefundRequestBody].
type RefundLineRequest struct {
	SKU      string        `json:"sku"`
	Quantity int64         `json:"quantity" minimum:"1"`
	Amount   *events.Money `json:"amount,omitempty" doc:"Default: unit price × quantity, without units that are neither sent nor captured yet"`
	Restock  int64         `json:"restock,omitempty" minimum:"0" doc:"Units of the quantity that go back to stock; only units that are not sent can"`
}

// RefundRequestBody is the body of POST /ops/api/orders/{id}/refunds: everything, a failed refund again, or an amount, lines and delivery.
type RefundRequestBody struct {
	Refundable events.Money        `json:"refundable" doc:"What you saw as still refundable"`
	Full       bool                `json:"full,omitempty" doc:"Refund everything that is left; units that are not sent go back to stock"`
	Amount     *events.Money       `json:"amount,omitempty" doc:"Default: that of the lines and of the delivery"`
	Lines      []RefundLineRequest `json:"lines,omitempty" maxItems:"800" nullable:"false"`
	Shipping   *events.Money       `json:"shipping,omitempty" doc:"The part of the amount that is for delivery"`
	Replaces   string              `json:"replaces,omitempty" maxLength:"255" doc:"Id of a failed refund, which is repeated: leave out amount, lines and delivery"`
	Reason     string              `json:"reason" minLength:"1" maxLength:"500" doc:"Why, for staff; the shopper does not see it"`
}

// request returns the refund that the body asks for. Its hash leaves out Refundable, so that the request can be repeated after
// another refund.
func (b RefundRequestBody) request() (r RefundRequest, err error) {
	reason, err := text.Clean(b.Reason)
	if err != nil {
		return r, invalid("reason", err.Error(), nil)
	}
	r = RefundRequest{Seen: b.Refundable, Full: b.Full, Replaces: b.Replaces, Reason: reason}
	for at, given := range map[*events.Money]*events.Money{&r.Amount: b.Amount, &r.Shipping: b.Shipping} {
		if given != nil {
			*at = *given
		}
	}
	for _, l := range b.Lines {
		line := events.RefundLine{SKU: l.SKU, Quantity: l.Quantity, Restock: l.Restock}
		if l.Amount != nil {
			line.Amount = *l.Amount
		}
		r.Lines = append(r.Lines, line)
	}
	hashed := b
	hashed.Refundable, hashed.Reason = events.Money{}, reason
	data, err := json.Marshal(hashed, json.Deterministic(true))
	if err != nil {
		return r, fmt.Errorf("hash refund: %w", err)
	}
	sum := sha256.Sum256(data)
	r.Hash = hex.EncodeToString(sum[:])
	return r, nil
}

type refundInput struct {
	ID             string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" required:"true" minLength:"16" maxLength:"255" doc:"Random text, such as a UUID, for each refund that you mean to make"`
	Body           RefundRequestBody
}

// RefundBody is a refund as staff see it.
type RefundBody struct {
	ID          string              `json:"id" doc:"Stripe's id for a refund that was made in Stripe's dashboard"`
	State       RefundState         `json:"state" enum:"requested,succeeded,failed" doc:"requested until the bank has paid; one that succeeded can still fail, because a bank can return the money days later"`
	Amount      events.Money        `json:"amount"`
	Lines       []events.RefundLine `json:"lines,omitempty"`
	Shipping    *events.Money       `json:"shipping,omitempty" doc:"The part of the amount that is for delivery"`
	Reason      string              `json:"reason,omitempty"`
	Failure     string              `json:"failure,omitempty" doc:"Why it failed"`
	Replaces    string              `json:"replaces,omitempty" doc:"The failed refund that it makes good"`
	RequestedAt *time.Time          `json:"requested_at,omitempty"`
	RequestedBy string              `json:"requested_by,omitempty" doc:"The actor"`
}

func newRefundBody(r Refund) RefundBody {
	b := RefundBody{ID: r.ID, State: r.State, Amount: r.Amount, Lines: r.Lines, Reason: r.Reason, Failure: r.Failure, Replaces: r.Replaces, RequestedBy: r.RequestedBy}
	if !r.Shipping.IsZero() {
		b.Shipping = &r.Shipping
	}
	if !r.RequestedAt.IsZero() {
		b.RequestedAt = &r.RequestedAt
	}
	return b
}

type refundOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when an earlier request made this refund"`
	Location string `header:"Location"`
	Body     RefundBody
}

func (s *Service) requestRefund(ctx context.Context, in *refundInput) (*refundOutput, error) {
	r, err := in.Body.request()
	if err != nil {
		return nil, s.refundProblem(ctx, err)
	}
	sender := api.PrincipalOf(ctx)
	r.ID = RefundIDFor(sender, in.ID, in.IdempotencyKey)
	out := &refundOutput{Location: "/ops/api/orders/" + in.ID + "/refunds"}
	err = s.config.Log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(sender.Author(r.Reason))
		tx.WithCorrelation(in.ID)
		order, err := loadPlaced(tx, in.ID)
		if err != nil {
			return err
		}
		facts, err := order.RequestRefund(r)
		if err != nil {
			return err
		}
		if order, err = appendAndLoad(tx, in.ID, facts); err != nil {
			return err
		}
		refund, _ := order.Refund(r.ID)
		refund.State, refund.Failure = RefundRequested, "" // a repeated request gets the answer of the first one
		out.Body, out.Replayed = newRefundBody(refund), ""
		if len(facts) == 0 {
			out.Replayed = "true"
		}
		return nil
	})
	if err != nil {
		return nil, s.refundProblem(ctx, err)
	}
	return out, nil
}

// RefundIDFor derives the id of a refund from who asks for it, the order and the Idempotency-Key, so that a repeated request finds
// the same refund.
func RefundIDFor(sender api.Principal, orderID, key string) string {
	return uuid.NewSHA1(namespace, []byte("refund\x00"+orderID+"\x00"+sender.Actor+"\x00"+key)).String()
}

// loadPlaced returns an order, or [eventlog.ErrNotFound].
func loadPlaced(tx *eventlog.Tx, id string) (Order, error) {
	order, err := Orders.Load(tx, id)
	if err == nil && !order.Exists() {
		err = fmt.Errorf("%w: order %s", eventlog.ErrNotFound, id)
	}
	return order, err
}

// refundProblem is [Service.problem] for an error of a refund. An operator who saw another amount is told the present one.
func (s *Service) refundProblem(ctx context.Context, err error) error {
	var changed *RefundableChangedError
	if errors.As(err, &changed) {
		return huma.Error409Conflict(changed.Error(), &huma.ErrorDetail{Location: "body.refundable", Message: "is now " + changed.Now.String(), Value: changed.Now})
	}
	return s.problem(ctx, err)
}

// RefundsBody has the refunds of an order and what can still be refunded.
type RefundsBody struct {
	OrderID            string           `json:"order_id"`
	Number             string           `json:"number"`
	Captured           events.Money     `json:"captured"`
	Refunded           events.Money     `json:"refunded" doc:"Of the refunds that succeeded"`
	Refundable         events.Money     `json:"refundable" doc:"Captured less the refunds that have not failed"`
	Blocked            string           `json:"blocked,omitempty" doc:"Why no refund can be requested, whatever is left"`
	RefundableShipping events.Money     `json:"refundable_shipping"`
	Lines              []RefundableLine `json:"lines" nullable:"false" doc:"What can still be refunded of each line"`
	Refunds            []RefundBody     `json:"refunds" nullable:"false"`
}

type refundsOutput struct {
	Body RefundsBody
}

func (s *Service) listRefunds(ctx context.Context, in *orderInput) (*refundsOutput, error) {
	o, _, err := Orders.Read(ctx, s.config.Log, in.ID)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	b := RefundsBody{OrderID: o.ID, Number: o.Number, Captured: events.Money{Amount: o.Taken.Amount, Currency: o.Total.Currency}, Refunded: o.RefundedTotal(),
		Refundable: o.Refundable(), RefundableShipping: o.RefundableShipping(), Lines: o.RefundableLines(), Refunds: make([]RefundBody, 0, len(o.Refunds))}
	if err := o.refundBlocked(); err != nil {
		b.Blocked = err.Error()
	}
	for _, r := range o.Refunds {
		b.Refunds = append(b.Refunds, newRefundBody(r))
	}
	return &refundsOutput{Body: b}, nil
}
