package orders

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/text"
)

// registerFulfilments adds the routes of fulfilments, which are for staff.
func (s *Service) registerFulfilments(router huma.API) {
	huma.Register(router, huma.Operation{OperationID: "list-fulfilments", Method: http.MethodGet, Path: "/ops/api/orders/{id}/fulfilments", Tags: []string{"Staff"},
		Summary: "List the fulfilments of an order", Description: "And the goods that are not sent yet, what is captured, and why nothing can be sent, if so.",
		Security: api.StaffSecurity, Middlewares: huma.Middlewares{api.RequireStaff(router, s.config.Access, api.ReadAll)}, Errors: []int{401, 403, 404, 503}}, s.listFulfilments)
	huma.Register(router, huma.Operation{OperationID: "create-fulfilment", Method: http.MethodPost, Path: "/ops/api/orders/{id}/fulfilments", Tags: []string{"Staff"},
		Summary: "Record that goods of an order are sent", DefaultStatus: http.StatusCreated, Security: api.StaffSecurity, MaxBodyBytes: api.MaxBody,
		Description: "Without `lines`, everything that is not sent yet. If money is captured when goods are sent (PAYMENTS_CAPTURE=fulfilment), it is captured afterwards. With `final` " +
			"nothing else will be sent: the other goods return to stock, and the shopper does not pay for them. The same request with the same Idempotency-Key makes one " +
			"fulfilment and gets the same answer. Nothing is sent of an order that is not confirmed or whose payment is disputed.",
		Middlewares: huma.Middlewares{api.RequireStaff(router, s.config.Access, api.FulfilOrders)}, Errors: []int{401, 403, 404, 409, 422, 503}}, s.createFulfilment)
}

type fulfilmentRequestBody struct {
	Lines    []lineRequest `json:"lines,omitempty" maxItems:"800" nullable:"false" doc:"Default: everything that is not sent yet"`
	Carrier  string        `json:"carrier,omitempty" maxLength:"100"`
	Tracking string        `json:"tracking,omitempty" maxLength:"100" doc:"Number of the parcel"`
	Final    bool          `json:"final,omitempty" doc:"Nothing else will be sent"`
}

// request returns the fulfilment that the body asks for.
func (b fulfilmentRequestBody) request() (r FulfilmentRequest, err error) {
	for field, value := range map[string]*string{"carrier": &b.Carrier, "tracking": &b.Tracking} {
		if *value == "" {
			continue
		}
		if *value, err = text.Clean(*value); err != nil {
			return r, invalid(field, err.Error(), nil)
		}
	}
	r = FulfilmentRequest{Carrier: b.Carrier, Tracking: b.Tracking, Final: b.Final}
	for _, l := range b.Lines {
		r.Lines = append(r.Lines, events.ReservedLine{SKU: l.SKU, Quantity: l.Quantity})
	}
	data, err := json.Marshal(b, json.Deterministic(true))
	if err != nil {
		return r, fmt.Errorf("hash fulfilment: %w", err)
	}
	sum := sha256.Sum256(data)
	r.Hash = hex.EncodeToString(sum[:])
	return r, nil
}

type fulfilmentInput struct {
	ID             string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" required:"true" minLength:"16" maxLength:"255" doc:"Random text, such as a UUID, for each parcel that you send"`
	Body           fulfilmentRequestBody
}

// FulfilmentIDFor derives the id of a fulfilment from its order and the Idempotency-Key, so that a repeated request finds the same
// fulfilment.
func FulfilmentIDFor(orderID, key string) string {
	return uuid.NewSHA1(namespace, []byte("fulfilment\x00"+orderID+"\x00"+key)).String()
}

type fulfilmentOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when an earlier request made this fulfilment"`
	Location string `header:"Location"`
	Body     Fulfilment
}

func (s *Service) createFulfilment(ctx context.Context, in *fulfilmentInput) (*fulfilmentOutput, error) {
	r, err := in.Body.request()
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	r.ID = FulfilmentIDFor(in.ID, in.IdempotencyKey)
	out := &fulfilmentOutput{Location: "/ops/api/orders/" + in.ID + "/fulfilments"}
	err = s.config.Log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(api.PrincipalOf(ctx).Author(""))
		tx.WithCorrelation(in.ID)
		order, err := loadPlaced(tx, in.ID)
		if err != nil {
			return err
		}
		facts, err := order.Fulfil(r)
		if err != nil {
			return err
		}
		if order, err = appendAndLoad(tx, in.ID, facts); err != nil {
			return err
		}
		out.Body, _ = order.fulfilment(r.ID)
		if out.Replayed = ""; len(facts) == 0 {
			out.Replayed = "true"
		}
		return nil
	})
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return out, nil
}

// FulfilmentsBody has the fulfilments of an order, and what can still be sent.
type FulfilmentsBody struct {
	OrderID          string                `json:"order_id"`
	Number           string                `json:"number"`
	Status           Status                `json:"status"`
	PaymentStatus    PaymentStatus         `json:"payment_status"`
	FulfilmentStatus FulfilmentStatus      `json:"fulfilment_status"`
	Total            events.Money          `json:"total"`
	Captured         events.Money          `json:"captured" doc:"So far"`
	Unpaid           *events.Money         `json:"unpaid,omitempty" doc:"Price of goods that were sent, but whose authorization had ended"`
	Refusal          string                `json:"refusal,omitempty" doc:"Why nothing can be sent"`
	Unsent           []events.ReservedLine `json:"unsent" nullable:"false" doc:"Goods that are not sent yet"`
	Fulfilments      []Fulfilment          `json:"fulfilments" nullable:"false"`
}

type fulfilmentsOutput struct {
	Body FulfilmentsBody
}

func (s *Service) listFulfilments(ctx context.Context, in *orderInput) (*fulfilmentsOutput, error) {
	o, _, err := Orders.Read(ctx, s.config.Log, in.ID)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	b := FulfilmentsBody{OrderID: o.ID, Number: o.Number, Status: o.Status, PaymentStatus: o.Payment, FulfilmentStatus: o.Fulfilment, Total: o.Total,
		Captured: events.Money{Amount: o.Taken.Amount, Currency: o.Total.Currency}, Unsent: []events.ReservedLine{}, Fulfilments: append([]Fulfilment{}, o.Fulfilments...)}
	if o.Lost != nil && !o.Lost.Unpaid.IsZero() {
		b.Unpaid = &o.Lost.Unpaid
	}
	if err := o.fulfillable(); err != nil {
		b.Refusal = err.Error()
	}
	if o.Status == Confirmed {
		b.Unsent = append(b.Unsent, sorted(o.Unsent())...)
	}
	return &fulfilmentsOutput{Body: b}, nil
}
