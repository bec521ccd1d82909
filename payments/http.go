package payments

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/log"
)

// longestWait bounds the long poll; proxies give up after a minute or so.
const longestWait = 30

// Register adds the domain's routes: what a shopper's browser needs to pay, and where Stripe posts its events.
func (s *Service) Register(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "get-payment", Method: http.MethodGet, Path: "/api/orders/{id}/payment",
		Summary:     "Read an order's payment",
		Description: "Gives the browser what it needs to pay. With wait it answers as soon as the PaymentIntent exists or the payment has ended. To anybody without the order's token it does not exist.",
		Tags:        []string{"Payments"},
		Security:    []map[string][]string{{"order": {}}},
		Errors:      []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, s.getPayment)
	s.registerWebhook(api)
}

type paymentInput struct {
	ID            string `path:"id" doc:"Order id"`
	Authorization string `header:"Authorization" hidden:"true"`
	Wait          int    `query:"wait" minimum:"0" maximum:"30" default:"0" doc:"Seconds to wait for the PaymentIntent"`
}

type paymentOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         PaymentView
}

// PaymentView is a payment as its shopper sees it.
type PaymentView struct {
	Status         Status        `json:"status" enum:"requested,intent_created,requires_action,processing,authorized,captured,failed,cancelled,refunded,partly_refunded"`
	Amount         int64         `json:"amount" doc:"In the currency's minor unit"`
	Currency       string        `json:"currency" doc:"ISO 4217"`
	PaymentIntent  string        `json:"payment_intent,omitempty"`
	ClientSecret   string        `json:"client_secret,omitempty" doc:"For Stripe's browser library, as long as the payment is open"`
	PublishableKey string        `json:"publishable_key"`
	LastError      *PaymentError `json:"last_error,omitempty" doc:"Why the last attempt failed"`
}

// PaymentError is why an attempt failed, in words for the shopper.
type PaymentError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (s *Service) getPayment(ctx context.Context, in *paymentInput) (*paymentOutput, error) {
	if events.CheckID(in.ID) != nil || !s.config.Access.Allows(in.ID, in.Authorization) {
		return nil, huma.Error404NotFound("there is no such payment")
	}
	p, err := s.awaitIntent(ctx, events.FirstPaymentID(in.ID), time.Duration(min(in.Wait, longestWait))*time.Second)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	if !p.Exists() {
		return nil, huma.Error404NotFound("no payment has been requested for this order yet")
	}
	view, err := s.view(ctx, p)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &paymentOutput{CacheControl: "no-store", Body: view}, nil
}

// awaitIntent reads the payment, and while it has no intent and may still get one, reads it again whenever it changes.
func (s *Service) awaitIntent(ctx context.Context, id string, patience time.Duration) (Payment, error) {
	news, stop := s.hub.wait(id) // before the first read, so that nothing falls in between
	defer stop()
	p, err := s.newest(ctx, id, 0)
	if patience == 0 {
		return p, err
	}
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for err == nil && p.PaymentIntent == "" && (!p.Exists() || p.Open()) {
		select {
		case seq := <-news:
			p, err = s.newest(ctx, id, seq)
		case <-enough.C:
			return p, nil
		case <-s.hub.stopped:
			return p, nil
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
	return p, err
}

// newest reads a payment of which an event at seq is known; the zero Payment when nothing was said about it yet.
func (s *Service) newest(ctx context.Context, id string, seq uint64) (p Payment, err error) {
	if seq > 0 {
		p, _, err = Payments.ReadAtLeast(ctx, s.log, id, seq)
	} else {
		p, _, err = Payments.Read(ctx, s.log, id)
	}
	if errors.Is(err, log.ErrNotFound) {
		return Payment{}, nil
	}
	return p, err
}

// view renders a payment. The client secret stands in no log and no database: it comes from memory or from Stripe.
func (s *Service) view(ctx context.Context, p Payment) (PaymentView, error) {
	view := PaymentView{Status: p.Status(), Amount: p.Amount.Amount, Currency: p.Amount.Currency,
		PaymentIntent: p.PaymentIntent, PublishableKey: s.config.PublishableKey}
	switch {
	case p.Failure != nil:
		view.LastError = &PaymentError{Code: p.Failure.Code, Message: "The payment could not be taken up."}
	case p.LastError != nil:
		view.LastError = &PaymentError{Code: p.LastError.shown(), Message: p.LastError.Message}
	}
	if !p.Payable() {
		return view, nil
	}
	secret, ok := s.secrets.Get(p.PaymentIntent)
	if !ok {
		in, err := s.gateway.RetrieveIntent(ctx, p.PaymentIntent)
		if err != nil {
			return PaymentView{}, err
		}
		secret = in.ClientSecret
		s.secrets.Add(in.ID, secret)
	}
	view.ClientSecret = secret
	return view, nil
}

// shown is the more telling of the two codes.
func (d Decline) shown() string {
	if d.DeclineCode != "" {
		return d.DeclineCode
	}
	return d.Code
}

// problem translates an error for the client and leaves the chain to the operator's log.
func (s *Service) problem(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, log.ErrUnavailable), errors.Is(err, log.ErrUnreadable), errors.Is(err, log.ErrContention), errors.Is(err, ErrRetry):
		s.logger.Warn("payment request put off", "error", err)
		return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable("payments are not available at the moment, please try again"),
			http.Header{"Retry-After": {"2"}})
	case ctx.Err() != nil: // the shopper has gone and nobody hears the answer, or this process stops; nothing is wrong
		return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable("the request was given up, please try again"),
			http.Header{"Retry-After": {"2"}})
	}
	s.logger.Error("payment request", "error", err)
	return huma.Error500InternalServerError("something went wrong on our side")
}
