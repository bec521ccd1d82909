package payments

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/index"
	eventlog "tillstream/events/log"
)

// maxWait bounds the seconds of a long poll. Proxies end a request after about a minute.
const maxWait = 30

// Register adds the routes of payments: the payment of an order for the shopper's browser, the webhook of Stripe, and the list for staff.
func (s *Service) Register(router huma.API) {
	huma.Register(router, huma.Operation{
		OperationID: "get-payment", Method: http.MethodGet, Path: "/api/orders/{id}/payment",
		Summary:     "Read an order's payment",
		Description: "Returns the values that Stripe's browser library needs. With wait it answers once the PaymentIntent exists or the payment has ended. Needs the access_token of the order as a bearer token; without it the answer is 404.",
		Tags:        []string{"Payments"},
		Security:    api.OrderSecurity,
		Middlewares: huma.Middlewares{api.RequireOrderToken(router, s.config.Access, "There is no such payment, or the access token is not for its order."),
			api.IdentifyClient(s.config.Proxies), s.waits.LimitWaits(router)},
		Errors: []int{http.StatusNotFound, http.StatusTooManyRequests, http.StatusServiceUnavailable},
	}, s.getPayment)
	s.registerWebhook(router)
	s.registerStaff(router)
}

type paymentInput struct {
	ID   string `path:"id" doc:"Order id"`
	Wait int    `query:"wait" minimum:"0" maximum:"30" default:"0" doc:"Seconds to wait for the PaymentIntent"`
}

type paymentOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         PaymentBody
}

// PaymentBody is a payment as the shopper sees it.
type PaymentBody struct {
	Status         Status        `json:"status" enum:"requested,intent_created,requires_action,processing,authorized,captured,failed,cancelled,refunded,partly_refunded"`
	Amount         int64         `json:"amount" doc:"In the currency's minor unit"`
	Currency       string        `json:"currency" doc:"ISO 4217"`
	PaymentIntent  string        `json:"payment_intent,omitempty"`
	ClientSecret   string        `json:"client_secret,omitempty" doc:"For Stripe's browser library, while the payment is open"`
	PublishableKey string        `json:"publishable_key"`
	Methods        []string      `json:"methods" doc:"Types of payment methods, as Stripe names them, with which the order can be paid; automatic: those that Stripe chooses"`
	LastError      *PaymentError `json:"last_error,omitempty" doc:"Why the last attempt failed"`
}

// PaymentError is the reason why an attempt failed. The message is for the shopper.
type PaymentError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (s *Service) getPayment(ctx context.Context, in *paymentInput) (*paymentOutput, error) {
	p, err := s.awaitIntent(ctx, events.FirstPaymentID(in.ID), time.Duration(min(in.Wait, maxWait))*time.Second)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	if !p.Exists() {
		return nil, huma.Error404NotFound("This order has no payment yet. Please try again in a moment.")
	}
	body, err := s.body(ctx, p)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &paymentOutput{CacheControl: "no-store", Body: body}, nil
}

// awaitIntent reads a payment, and reads it again after each change until it has an intent or has ended, or until the timeout.
func (s *Service) awaitIntent(ctx context.Context, id string, timeout time.Duration) (Payment, error) {
	changed, stop := s.hub.subscribe(id) // before the first read, so that no change in between is missed
	defer stop()
	p, err := s.newest(ctx, id, 0)
	if timeout == 0 {
		return p, err
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for err == nil && p.PaymentIntent == "" && (!p.Exists() || p.Open()) {
		select {
		case seq := <-changed:
			p, err = s.newest(ctx, id, seq)
		case <-timer.C:
			return p, nil
		case <-s.hub.stopped:
			return p, errStopping
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
	return p, err
}

// newest reads a payment in a state that includes the event at seq, or its newest state if seq is 0. It returns the zero Payment
// for a payment without events.
func (s *Service) newest(ctx context.Context, id string, seq uint64) (p Payment, err error) {
	if seq > 0 {
		p, _, err = Payments.ReadAtLeast(ctx, s.log, id, seq)
	} else {
		p, _, err = Payments.Read(ctx, s.log, id)
	}
	if errors.Is(err, eventlog.ErrNotFound) {
		return Payment{}, nil
	}
	return p, err
}

// body renders a payment. The client secret comes from the cache or from Stripe, because no log and no database stores it.
func (s *Service) body(ctx context.Context, p Payment) (PaymentBody, error) {
	body := PaymentBody{Status: p.Status(), Amount: p.Amount.Amount, Currency: p.Amount.Currency,
		PaymentIntent: p.PaymentIntent, PublishableKey: s.config.PublishableKey, Methods: p.methods()}
	switch {
	case p.Failure != nil:
		body.LastError = &PaymentError{Code: p.Failure.Code, Message: "The payment could not be started. You were not charged."}
	case p.LastError != nil:
		body.LastError = &PaymentError{Code: p.LastError.mostSpecific(), Message: p.LastError.Message}
	}
	if !p.Payable() {
		return body, nil
	}
	secret, ok := s.secrets.Get(p.PaymentIntent)
	if !ok {
		in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
		if err != nil {
			return PaymentBody{}, err
		}
		secret = in.ClientSecret
		s.secrets.Add(in.ID, secret)
	}
	body.ClientSecret = secret
	return body, nil
}

// mostSpecific returns the decline code of the bank, or Stripe's code when there is none.
func (d Decline) mostSpecific() string {
	if d.DeclineCode != "" {
		return d.DeclineCode
	}
	return d.Code
}

// errStopping is returned to a request that waits while this process stops. Another process, or the next one, answers it.
var errStopping = errors.New("the process is stopping")

// problems maps the errors of this API to its answers.
var problems = []api.Problem{{Err: ErrRetry, Kind: api.Unavailable}, {Err: errStopping, Kind: api.Unavailable}, index.Loading}

func (s *Service) problem(ctx context.Context, err error) error {
	return api.Problems{Logger: s.logger, Table: problems}.Answer(ctx, err)
}
