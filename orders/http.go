package orders

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/failpoint"
	"tillstream/events/index"
	eventlog "tillstream/events/log"
	"tillstream/events/text"
)

// detailHidden is the answer to a request without the access token of the order. It is the same as for an order that does not
// exist, so it does not reveal which orders exist.
const detailHidden = "There is no such order, or the access token is not for it."

// Register adds the routes of orders.
func (s *Service) Register(router huma.API) {
	guest := huma.Middlewares{api.RequireOrderToken(router, s.config.Access, detailHidden)}
	staff := huma.Middlewares{api.RequireStaff(router, s.config.Access, api.ReadAll)}
	anyone := huma.Middlewares{api.IdentifyStaff(s.config.Access, api.WriteOrders), api.IdentifyClient(s.config.Proxies)}
	huma.Register(router, huma.Operation{OperationID: "place-order", Method: http.MethodPost, Path: "/api/orders", DefaultStatus: http.StatusCreated,
		Tags: []string{"Orders"}, MaxBodyBytes: api.MaxBody, Summary: "Place an order", Middlewares: anyone, Security: api.AnySecurity,
		Description: "Stores the order before it answers. With an Idempotency-Key the same request can be repeated: it places one order, and every answer equals the first. " +
			"A shopper with too many unpaid orders gets 429 and Retry-After. Orders that staff place have no limits.",
		Errors: []int{400, 413, 422, 429, 503}}, s.place)
	huma.Register(router, huma.Operation{OperationID: "get-order", Method: http.MethodGet, Path: "/api/orders/{id}", Tags: []string{"Orders"},
		Summary: "Read an order", Description: "Needs the access_token of the order as a bearer token; without it the answer is 404.",
		Security: api.OrderSecurity, Middlewares: guest, Errors: []int{404, 503}}, s.get)
	huma.Register(router, huma.Operation{OperationID: "cancel-order", Method: http.MethodPost, Path: "/api/orders/{id}/cancel", Tags: []string{"Orders"},
		Summary: "Cancel an unpaid order", Security: api.OrderSecurity, Middlewares: guest, Errors: []int{404, 409, 503}}, s.cancel)
	huma.Register(router, huma.Operation{OperationID: "follow-order", Method: http.MethodGet, Path: "/api/orders/{id}/events", Tags: []string{"Orders"},
		Summary: "Follow an order", Description: "Server-Sent Events: the order at once, and again after each change. Event `status`, data as of GET /api/orders/{id}.",
		Security: api.OrderSecurity, Middlewares: append(guest, api.IdentifyClient(s.config.Proxies), s.streams.Limit(router)), Errors: []int{404, 429, 503}, Responses: api.EventStreamResponse()}, s.follow)
	huma.Register(router, huma.Operation{OperationID: "list-orders", Method: http.MethodGet, Path: "/ops/api/orders", Tags: []string{"Staff"},
		Summary: "List and search orders", Security: api.StaffSecurity, Middlewares: staff, Errors: []int{400, 401, 403, 422, 503}}, s.list)
	huma.Register(router, huma.Operation{OperationID: "staff-cancel-order", Method: http.MethodPost, Path: "/ops/api/orders/{id}/cancel", Tags: []string{"Staff"},
		Summary: "Cancel an order of a customer that is not paid", Description: "Also a confirmed order whose money is only authorized and of which nothing was sent: its goods return to stock, and the authorization is released.", Security: api.StaffSecurity, Middlewares: huma.Middlewares{api.RequireStaff(router, s.config.Access, api.WriteOrders)},
		MaxBodyBytes: api.MaxBody, Errors: []int{401, 403, 404, 409, 422, 503}}, s.cancelByStaff)
	s.registerFulfilments(router)
	s.registerRefunds(router)
}

// problems maps the errors of this API to its answers.
var problems = []api.Problem{
	{Err: ErrKeyReused, Kind: api.Invalid, Detail: "This Idempotency-Key was used for another order. Please use a new one."},
	{Err: ErrNotCancellable, Kind: api.Conflict, Detail: "This order can no longer be cancelled. Please look at its current status."},
	{Err: ErrNotFulfillable, Kind: api.Conflict},
	{Err: ErrFulfilmentReused, Kind: api.Invalid},
	{Err: ErrNothingCaptured, Kind: api.Conflict},
	{Err: ErrChargedBack, Kind: api.Conflict},
	{Err: ErrNotFailed, Kind: api.Conflict},
	{Err: ErrRefundKeyReused, Kind: api.Invalid},
	{Err: eventlog.ErrNotFound, Kind: api.NotFound, Detail: detailHidden},
	{Err: events.ErrBadID, Kind: api.NotFound, Detail: detailHidden},
	index.Loading,
}

func (s *Service) problem(ctx context.Context, err error) error {
	var limit *LimitError
	if errors.As(err, &limit) {
		return api.Limited(limit.Message, limit.RetryAfter)
	}
	return api.Problems{Logger: s.config.Logger, Table: problems}.Answer(ctx, err)
}

type placeInput struct {
	IdempotencyKey string `header:"Idempotency-Key" minLength:"16" maxLength:"255" doc:"Random text, such as a UUID, for each order that you mean to place. Keep it secret: it opens the order to a client that knows the whole request."`
	TraceParent    string `header:"traceparent" doc:"W3C trace context, passed on through every event; a malformed one begins a new trace"`
	Body           orderRequest
}

type placeOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when an earlier request placed this order"`
	Location string `header:"Location"`
	Body     placedBody
}

func (s *Service) place(ctx context.Context, in *placeInput) (*placeOutput, error) {
	placement, err := in.Body.placement().Normalize(s.config.MaxLines, s.maxUnits(ctx))
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	failpoint.At("http.order_received")
	order, replayed, err := s.record(ctx, placement, in.IdempotencyKey, api.TraceParent(in.TraceParent))
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	failpoint.At("http.order_stored")
	// The answer has the order as it was placed, so that a repeated request gets the same answer.
	order.Status, order.Payment, order.Fulfilment, order.Reason, order.Short, order.Refunds = Placed, Unpaid, Unfulfilled, "", nil, nil
	out := &placeOutput{Location: "/api/orders/" + order.ID, Body: placedBody{newOrderBody(order), s.config.Access.Token(order.ID)}}
	if replayed {
		out.Replayed = "true"
	}
	return out, nil
}

// maxUnits is how many units of one SKU the sender of a request may order.
func (s *Service) maxUnits(ctx context.Context) int64 {
	if api.PrincipalOf(ctx).IsStaff() {
		return MaxQuantity
	}
	return s.config.Limits.Units
}

// record appends the order, or returns the order that an earlier request with this key placed.
func (s *Service) record(ctx context.Context, p Placement, key, traceParent string) (order Order, replayed bool, err error) {
	sender := api.PrincipalOf(ctx)
	r := request{Placement: p, id: uuid.Must(uuid.NewV7()).String(), terms: Terms{Charges: s.config.Charges, HoldFor: s.config.HoldFor, Shipping: s.config.Shipping}}
	if key != "" {
		r.id = IDFor(sender, p.Customer.Email, key)
	}
	if r.hash, err = p.Hash(); err != nil {
		return Order{}, false, err
	}
	if err := s.prices.complete(ctx, s.config.Log, p.Lines); err != nil {
		return Order{}, false, err
	}
	if !sender.IsStaff() {
		undo := s.limit(&r, api.ClientOf(ctx))
		defer func() {
			if err != nil || replayed {
				undo()
			}
		}()
	}
	err = s.config.Log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(sender.Author(""))
		tx.WithTrace(traceParent)
		tx.WithCorrelation(r.id)
		order, replayed, err = s.appendNew(tx, r)
		return err
	})
	return order, replayed, err
}

// request is a checked request for an order.
type request struct {
	Placement
	id, hash string
	terms    Terms
	refused  error // a [*LimitError] unless the order exists
}

// limit applies the limits of shoppers to a request. If no order is placed, the caller must call undo.
func (s *Service) limit(r *request, address string) (undo func()) {
	now := s.config.Log.Now()
	open, undo := s.open.begin(r.id, r.Customer.Email, address, now, now.Add(s.config.HoldFor))
	r.terms.HoldFor, r.refused = s.config.Limits.holdFor(open, s.config.HoldFor, now)
	return undo
}

func (s *Service) appendNew(tx *eventlog.Tx, r request) (order Order, replayed bool, err error) {
	if order, err = Orders.LoadNew(tx, r.id); err != nil {
		return order, false, err
	}
	if order.Exists() {
		// Prices may have changed since, so only the requests are compared.
		_, err := order.Place(events.OrderPlaced{RequestHash: r.hash})
		return order, true, err
	}
	if r.refused != nil {
		return order, false, r.refused
	}
	placed, err := Price(r.id, r.Placement, r.hash, s.prices.lookup, r.terms, tx.Now())
	if err != nil {
		return order, false, err
	}
	facts, err := order.Place(placed)
	if err != nil {
		return order, false, err
	}
	order, err = appendAndLoad(tx, r.id, facts)
	return order, false, err
}

func appendAndLoad(tx *eventlog.Tx, id string, facts []events.Payload) (Order, error) {
	if err := Orders.Append(tx, id, facts...); err != nil {
		return Order{}, err
	}
	return Orders.Load(tx, id)
}

type orderInput struct {
	ID string `path:"id"`
}

type orderOutput struct {
	Body OrderBody
}

func (s *Service) get(ctx context.Context, in *orderInput) (*orderOutput, error) {
	order, _, err := Orders.Read(ctx, s.config.Log, in.ID)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &orderOutput{Body: newOrderBody(order)}, nil
}

func (s *Service) cancel(ctx context.Context, in *orderInput) (*orderOutput, error) {
	order, err := s.cancelOrder(ctx, in.ID, "", false)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &orderOutput{Body: newOrderBody(order)}, nil
}

type staffCancelInput struct {
	ID   string `path:"id"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"Why, for the audit"`
	}
}

func (s *Service) cancelByStaff(ctx context.Context, in *staffCancelInput) (*orderOutput, error) {
	reason, err := text.Clean(in.Body.Reason)
	if err != nil {
		return nil, s.problem(ctx, &events.InvalidError{Faults: []events.Fault{{Field: "reason", Message: err.Error()}}})
	}
	order, err := s.cancelOrder(ctx, in.ID, reason, true)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &orderOutput{Body: newOrderBody(order)}, nil
}

// cancelOrder cancels an order that is not paid, with the reason of staff.
func (s *Service) cancelOrder(ctx context.Context, id, reason string, staff bool) (order Order, err error) {
	err = s.config.Log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(api.PrincipalOf(ctx).Author(reason))
		tx.WithCorrelation(id)
		if order, err = loadPlaced(tx, id); err != nil {
			return err
		}
		facts, err := order.Cancel(staff)
		if err != nil {
			return err
		}
		order, err = appendAndLoad(tx, id, facts)
		return err
	})
	return order, err
}

func (s *Service) list(ctx context.Context, in *listInput) (*listOutput, error) {
	q, err := in.query(s.config.Log.Now().UTC())
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	page, err := s.index.Find(ctx, q.page, q.conditions()...)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	out := &listOutput{}
	out.Body.NextCursor, out.Body.Total, out.Body.Exact = page.Next, page.Total, page.Chosen == exact && page.Total > 0
	out.Body.Orders = make([]listedOrder, 0, len(page.Rows))
	for i := range page.Rows {
		out.Body.Orders = append(out.Body.Orders, page.Rows[i].listed())
	}
	return out, nil
}
