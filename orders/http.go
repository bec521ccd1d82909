package orders

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/failpoint"
	"tillstream/events/log"
)

// maxBody is the largest order request: 800 lines with item numbers of 50 bytes fit.
const maxBody = 64 << 10

// Register adds the routes of the orders API.
func (s *Service) Register(api huma.API) {
	ofTheOrder := []map[string][]string{{"order": {}}}
	huma.Register(api, huma.Operation{OperationID: "place-order", Method: http.MethodPost, Path: "/api/orders", DefaultStatus: http.StatusCreated,
		Tags: []string{"Orders"}, MaxBodyBytes: maxBody, Summary: "Place an order",
		Description: "The order is durable before this answers. With an Idempotency-Key the same request may be sent again and again: it is one order, and the answer is the first one.",
		Errors:      []int{400, 413, 422, 503}}, s.place)
	huma.Register(api, huma.Operation{OperationID: "get-order", Method: http.MethodGet, Path: "/api/orders/{id}", Tags: []string{"Orders"},
		Summary: "Read an order", Description: "Needs the access_token that came with the order, as a bearer token. Anybody else gets 404.", Security: ofTheOrder, Errors: []int{404, 503}}, s.get)
	huma.Register(api, huma.Operation{OperationID: "cancel-order", Method: http.MethodPost, Path: "/api/orders/{id}/cancel", Tags: []string{"Orders"},
		Summary: "Cancel an unpaid order", Security: ofTheOrder, Errors: []int{404, 409, 503}}, s.cancel)
	huma.Register(api, huma.Operation{OperationID: "follow-order", Method: http.MethodGet, Path: "/api/orders/{id}/events", Tags: []string{"Orders"},
		Summary: "Follow an order", Description: "Server-Sent Events: the order now, and again whenever it changes. Event `status`, data as of GET /api/orders/{id}.",
		Security: ofTheOrder, Errors: []int{404, 503},
		Responses: map[string]*huma.Response{"200": {Description: "An event stream", Content: map[string]*huma.MediaType{"text/event-stream": {}}}}}, s.follow)
	huma.Register(api, huma.Operation{OperationID: "list-orders", Method: http.MethodGet, Path: "/ops/api/orders", Tags: []string{"Staff"},
		Summary: "List orders, newest first", Security: []map[string][]string{{"staff": {}}}, Errors: []int{400, 404, 503}}, s.listForStaff)
}

// addressRequest, lineRequest and orderRequest are what a shopper sends.
type addressRequest struct {
	Line1      string `json:"line1" doc:"Street and house number"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country" doc:"ISO 3166-1 alpha-2" example:"GB"`
}

type lineRequest struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity" doc:"At least 1; lines of one SKU are added up"`
}

type orderRequest struct {
	Email           string         `json:"email"`
	Name            string         `json:"name"`
	Locale          string         `json:"locale,omitempty" doc:"Language of the mails, such as en or de" example:"en"`
	ShippingAddress addressRequest `json:"shipping_address"`
	Lines           []lineRequest  `json:"lines"`
}

func (r orderRequest) placement() Placement {
	lines := make([]events.ReservedLine, 0, len(r.Lines))
	for _, l := range r.Lines {
		lines = append(lines, events.ReservedLine{SKU: l.SKU, Quantity: l.Quantity})
	}
	return Placement{Customer: events.Customer{Email: r.Email, Name: r.Name, Locale: r.Locale}, ShipTo: events.Address(r.ShippingAddress), Lines: lines}
}

// reason says why an order ended otherwise than confirmed.
type reason struct {
	Code    string            `json:"code" enum:"out_of_stock,paid_too_late,payment_not_taken,expired,cancelled"`
	Message string            `json:"message"`
	Short   []events.Shortage `json:"short,omitempty"`
}

// OrderBody is an order as its owner sees it. Its name is exported because huma describes an embedded struct only then.
type OrderBody struct {
	ID               string             `json:"id"`
	Number           string             `json:"number" doc:"What to quote on the telephone"`
	Status           Status             `json:"status" enum:"placed,awaiting_payment,capturing,confirmed,rejected,expired,cancelled,paid_late"`
	PaymentStatus    PaymentStatus      `json:"payment_status" enum:"unpaid,authorized,paid,partly_refunded,refunded"`
	FulfilmentStatus FulfilmentStatus   `json:"fulfilment_status" enum:"unfulfilled"`
	Reason           *reason            `json:"reason,omitempty"`
	Email            string             `json:"email"`
	Name             string             `json:"name"`
	Locale           string             `json:"locale"`
	ShippingAddress  events.Address     `json:"shipping_address"`
	Lines            []events.OrderLine `json:"lines"`
	Subtotal         events.Money       `json:"subtotal"`
	Shipping         events.Money       `json:"shipping"`
	Tax              events.Money       `json:"tax"`
	Total            events.Money       `json:"total"`
	Currency         string             `json:"currency"`
	PlacedAt         time.Time          `json:"placed_at"`
	ExpiresAt        *time.Time         `json:"expires_at,omitempty" doc:"When an unpaid order gives its stock back"`
	Refunded         *events.Money      `json:"refunded,omitempty"`
}

type placedBody struct {
	OrderBody
	AccessToken string `json:"access_token" doc:"Opens this order: send it as a bearer token"`
}

// reasons are sentences for the customer.
var reasons = map[string]string{
	events.RejectedNoStock:       "Some of it is sold out. Nothing was charged.",
	events.RejectedPaidLate:      "The payment arrived after the order had expired, and the goods were sold meanwhile. The money goes back.",
	events.RejectedPaymentFailed: "The payment could not be started. Nothing was charged.",
	string(Expired):              "It was not paid in time. Nothing was charged.",
	string(Cancelled):            "It was cancelled. Nothing is charged; a payment that was under way goes back.",
}

func newOrderBody(o Order) OrderBody {
	b := OrderBody{ID: o.ID, Number: o.Number, Status: o.Status, PaymentStatus: o.Payment, FulfilmentStatus: o.Fulfilment, Email: o.Customer.Email, Name: o.Customer.Name, Locale: o.Customer.Locale,
		ShippingAddress: o.ShipTo, Lines: o.Lines, Subtotal: o.Subtotal, Shipping: o.Shipping, Tax: o.Tax, Total: o.Total, Currency: o.Total.Currency,
		PlacedAt: o.PlacedAt}
	switch o.Status {
	case Placed, AwaitingPayment:
		b.ExpiresAt = &o.ExpiresAt
	case Rejected:
		b.Reason = &reason{Code: o.Reason, Message: reasons[o.Reason], Short: o.Short}
	case Expired, Cancelled:
		b.Reason = &reason{Code: string(o.Status), Message: reasons[string(o.Status)]}
	}
	if len(o.Refunds) > 0 {
		refunded := o.RefundedTotal()
		b.Refunded = &refunded
	}
	return b
}

type placeInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Any string, unique per order you mean to place"`
	TraceParent    string `header:"traceparent" doc:"W3C trace context, passed on through every event; a malformed one begins a new trace"`
	Body           orderRequest
}

type placeOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when this order was placed by an earlier request"`
	Location string `header:"Location"`
	Body     placedBody
}

func (s *Service) place(ctx context.Context, in *placeInput) (*placeOutput, error) {
	placement, err := in.Body.placement().Normalize(s.config.MaxLines)
	if err != nil {
		return nil, s.problem(err)
	}
	failpoint.At("http.order_received")
	order, replayed, err := s.record(ctx, placement, in.IdempotencyKey, TraceParent(in.TraceParent))
	if err != nil {
		return nil, s.problem(err)
	}
	failpoint.At("http.order_stored")
	// The answer is the same however often it is asked for: the order as it was placed.
	order.Status, order.Payment, order.Fulfilment, order.Reason, order.Short, order.Refunds = Placed, Unpaid, Unfulfilled, "", nil, nil
	out := &placeOutput{Location: "/api/orders/" + order.ID, Body: placedBody{newOrderBody(order), s.config.Access.Token(order.ID)}}
	if replayed {
		out.Replayed = "true"
	}
	return out, nil
}

// record appends the order, or finds the one that this key has placed already.
func (s *Service) record(ctx context.Context, p Placement, key, traceParent string) (order Order, replayed bool, err error) {
	id := uuid.Must(uuid.NewV7()).String()
	if key != "" {
		id = IDFor(p.Customer.Email, key)
	}
	hash, err := p.Hash()
	if err != nil {
		return Order{}, false, err
	}
	if err := s.prices.complete(ctx, s.config.Log, p.Lines); err != nil {
		return Order{}, false, err
	}
	terms := Terms{Charges: s.config.Charges, HoldFor: s.config.HoldFor, Shipping: s.config.Shipping}
	err = s.config.Log.Do(ctx, func(tx *log.Tx) error {
		tx.WithActor(events.ActorGuest)
		tx.WithTrace(traceParent)
		tx.WithCorrelation(id)
		if order, err = Orders.LoadNew(tx, id); err != nil {
			return err
		}
		if replayed = order.Exists(); replayed {
			// Prices may have changed since: what counts is what was asked for.
			_, err := order.Place(events.OrderPlaced{RequestHash: hash})
			return err
		}
		placed, err := Price(id, p, hash, s.prices.lookup, terms, tx.Now())
		if err != nil {
			return err
		}
		facts, err := order.Place(placed)
		if err != nil {
			return err
		}
		if err := Orders.Append(tx, id, facts...); err != nil {
			return err
		}
		order, err = Orders.Load(tx, id)
		return err
	})
	return order, replayed, err
}

type orderInput struct {
	ID            string `path:"id"`
	Authorization string `header:"Authorization" hidden:"true"`
}

type orderOutput struct {
	Body OrderBody
}

// errHidden is what a stranger sees: an order that is not theirs does not exist.
var errHidden = huma.Error404NotFound("there is no such order, or the access token is not for it")

func (s *Service) allowed(in *orderInput) bool {
	return s.config.Access.Allows(in.ID, in.Authorization)
}

func (s *Service) get(ctx context.Context, in *orderInput) (*orderOutput, error) {
	if !s.allowed(in) {
		return nil, errHidden
	}
	order, _, err := Orders.Read(ctx, s.config.Log, in.ID)
	if err != nil {
		return nil, s.problem(err)
	}
	return &orderOutput{Body: newOrderBody(order)}, nil
}

func (s *Service) cancel(ctx context.Context, in *orderInput) (*orderOutput, error) {
	if !s.allowed(in) {
		return nil, errHidden
	}
	var order Order
	err := s.config.Log.Do(ctx, func(tx *log.Tx) error {
		tx.WithActor(events.ActorGuest)
		tx.WithCorrelation(in.ID)
		var err error
		if order, err = Orders.Load(tx, in.ID); err != nil {
			return err
		}
		if !order.Exists() {
			return fmt.Errorf("%w: order %s", log.ErrNotFound, in.ID)
		}
		facts, err := order.Cancel()
		if err != nil {
			return err
		}
		if err := Orders.Append(tx, in.ID, facts...); err != nil {
			return err
		}
		order, err = Orders.Load(tx, in.ID)
		return err
	})
	if err != nil {
		return nil, s.problem(err)
	}
	return &orderOutput{Body: newOrderBody(order)}, nil
}

// problem translates the errors of this domain for the customer, once.
func (s *Service) problem(err error) error {
	var invalid *InvalidError
	switch {
	case errors.As(err, &invalid):
		details := make([]error, 0, len(invalid.Faults))
		for _, f := range invalid.Faults {
			details = append(details, &huma.ErrorDetail{Location: f.Location, Message: f.Message, Value: f.Value})
		}
		return huma.Error422UnprocessableEntity("the order cannot be taken as it is", details...)
	case errors.Is(err, ErrKeyReused):
		return huma.Error422UnprocessableEntity("this Idempotency-Key was used for another order: use a new one")
	case errors.Is(err, ErrNotCancellable):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, ErrBadCursor):
		return huma.Error400BadRequest("the cursor is not one of ours: start from the first page")
	case errors.Is(err, log.ErrNotFound), errors.Is(err, events.ErrBadID):
		return errHidden
	case errors.Is(err, log.ErrUnavailable), errors.Is(err, log.ErrUnreadable), errors.Is(err, log.ErrContention), mongo.IsTimeout(err), mongo.IsNetworkError(err):
		s.config.Logger.Warn("cannot serve", "error", err)
		return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable("the shop cannot take this right now: try again in a moment"),
			http.Header{"Retry-After": {"1"}})
	}
	if errors.Is(err, context.Canceled) { // the shopper has gone and nobody hears the answer, or this process stops; nothing is wrong
		return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable("the request was given up: try again in a moment"),
			http.Header{"Retry-After": {"1"}})
	}
	s.config.Logger.Error("request failed", "error", err)
	return huma.Error500InternalServerError("something went wrong on our side")
}
