package payments

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stripe/stripe-go/v76/webhook"

	"tillstream/events"
	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
)

const (
	webhookBodyLimit   = 256 << 10
	webhookReadTimeout = 5 * time.Second // of the body
	webhookTolerance   = 5 * time.Minute // between the signature's time and the clock, in either direction
)

// webhooks is the subject on which webhooks are stored that belong to no payment of the shop.
var webhooks = eventlog.Journal{Subject: events.SubjectWebhooks}

var (
	// ErrBadWebhook is returned for a request that is not an event with a valid and recent signature by Stripe.
	ErrBadWebhook = errors.New("bad webhook")
	// ErrForeign is returned for an event of another Stripe account or of the other mode. It says nothing about the shop's payments.
	ErrForeign = errors.New("event of another account or mode")

	errTimestamp = errors.New("timestamp outside the tolerance")
)

type webhookInput struct {
	Signature string `header:"Stripe-Signature" doc:"Stripe's signature of the body: t=…,v1=…"`
	RawBody   []byte `contentType:"application/json"`
}

func (s *Service) registerWebhook(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "receive-stripe-webhook", Method: http.MethodPost, Path: "/webhooks/stripe",
		Summary:          "Receive an event from Stripe",
		Description:      "Stores the event without client secrets, and the decisions that follow from it, before it answers.",
		Tags:             []string{"Payments"},
		DefaultStatus:    http.StatusOK,
		SkipValidateBody: true, // the signature covers the raw bytes, and the rules validate their content
		MaxBodyBytes:     webhookBodyLimit, BodyReadTimeout: webhookReadTimeout,
		Errors: []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable},
	}, s.receiveWebhook)
}

// receiveWebhook stores an event and its decisions before it answers 200, after which Stripe does not send the event again. A
// foreign event is answered 200 and not stored: Stripe would repeat it for days, and disable the endpoint.
func (s *Service) receiveWebhook(ctx context.Context, in *webhookInput) (*struct{}, error) {
	received, err := verifyWebhook(in.RawBody, in.Signature, s.config.WebhookSecret, s.livemode, s.log.Now())
	switch {
	case errors.Is(err, ErrForeign):
		s.passed.add(webhookForeign, err)
		return nil, nil
	case err != nil:
		s.passed.add(webhookRefused, err)
		return nil, huma.Error400BadRequest("The request is not an event with a valid and recent signature of Stripe.")
	}
	failpoint.At("http.webhook_received")
	if err := s.Receive(ctx, received); err != nil {
		return nil, s.problem(ctx, err)
	}
	failpoint.At("http.webhook_stored")
	return nil, nil
}

// Receive commits an event of Stripe together with its cascade in this domain and the others of this process. Stripe may deliver
// an event many times, also at once; it is stored once.
func (s *Service) Receive(ctx context.Context, received events.WebhookReceived) error {
	_, err, _ := s.receiving.Do(received.StripeEvent, func() (any, error) { return nil, s.store(ctx, received) })
	return err
}

func (s *Service) store(ctx context.Context, received events.WebhookReceived) error {
	stored := false
	err := s.log.DoCascade(ctx, func(tx *eventlog.Tx) error {
		tx.WithActor(events.ActorStripe)
		before := tx.Len()
		err := s.appendReceived(tx, received)
		stored = tx.Len() > before
		return err
	})
	if err != nil {
		return fmt.Errorf("store Stripe event %s: %w", received.StripeEvent, err)
	}
	s.cursor.stored.Add(received.StripeEvent, struct{}{})
	if !stored {
		s.metrics.webhooks.WithLabelValues(webhookRepeated).Inc()
		return nil
	}
	s.metrics.webhooks.WithLabelValues(webhookStored).Inc()
	return nil
}

// appendReceived appends an event of Stripe, unless it is stored already. An event with the intent of a known payment is appended
// to that payment, with the facts of RecordReport. This append has an expected sequence, so a commit whose answer was lost is
// recognized. Every other event is appended to payments.webhooks. An event that RecordReport refuses is appended alone; its route
// refuses it again, and it becomes a dead letter. Stripe is answered 200 even then, because sending the event again would not help.
func (s *Service) appendReceived(tx *eventlog.Tx, received events.WebhookReceived) error {
	in, found, err := s.intentFrom(received)
	if err != nil || !found || events.CheckID(in.PaymentID) != nil {
		return s.appendUnmatched(tx, received) // its route makes an unreadable event a dead letter
	}
	p, err := Payments.Load(tx, in.PaymentID)
	if errors.Is(err, eventlog.ErrUnreadable) || err == nil && !p.Exists() {
		return s.appendUnmatched(tx, received)
	}
	if err != nil {
		return err
	}
	if _, stored := p.Webhooks[received.StripeEvent]; stored {
		return nil
	}
	tx.WithCorrelation(p.OrderID)
	if err := Payments.Append(tx, in.PaymentID, received); err != nil {
		return err
	}
	facts, err := s.reportRule(in)(p)
	if err != nil {
		return nil //nolint:nilerr // the route refuses the event again
	}
	tx.CausedBy(tx.Fact(tx.Len() - 1))
	tx.WithActor(events.ActorStripe)
	return appendFacts(tx, in.PaymentID, facts, nil)
}

// appendUnmatched appends an event that belongs to no payment of the shop, unless this process remembers that it is stored. The
// memory holds the latest events and ends with the process; an event that is stored again adds no second fact.
func (s *Service) appendUnmatched(tx *eventlog.Tx, received events.WebhookReceived) error {
	if s.cursor.stored.Contains(received.StripeEvent) {
		return nil
	}
	return webhooks.Append(tx, received)
}

// verifyWebhook checks signature, time and API version of a body before it reads the body. live is the mode of the shop. It
// returns [ErrBadWebhook] or [ErrForeign].
func verifyWebhook(body []byte, signature, secret string, live bool, now time.Time) (events.WebhookReceived, error) {
	if err := checkTimestamp(signature, now); err != nil {
		return events.WebhookReceived{}, fmt.Errorf("%w: %w", ErrBadWebhook, err)
	}
	event, err := webhook.ConstructEventWithOptions(body, signature, secret, webhook.ConstructEventOptions{IgnoreTolerance: true})
	if err != nil {
		return events.WebhookReceived{}, fmt.Errorf("%w: %w", ErrBadWebhook, err)
	}
	if err := checkOrigin(event, live); err != nil {
		return events.WebhookReceived{}, err
	}
	received, err := parseEvent(event, body, viaWebhook)
	if err != nil {
		return events.WebhookReceived{}, fmt.Errorf("%w: %w", ErrBadWebhook, err)
	}
	return received, nil
}

// checkTimestamp refuses a signature that is too old or, unlike the SDK, too far in the future. If there are several timestamps
// (t=), the last one counts, because the SDK verifies the signature with that one.
func checkTimestamp(signature string, now time.Time) error {
	signed := time.Time{}
	for pair := range strings.SplitSeq(signature, ",") {
		value, found := strings.CutPrefix(pair, "t=")
		if !found {
			continue
		}
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %.40q", errTimestamp, value)
		}
		signed = time.Unix(seconds, 0)
	}
	if age := now.Sub(signed); age > webhookTolerance || age < -webhookTolerance {
		return fmt.Errorf("%w: %s", errTimestamp, signed.UTC().Format(time.RFC3339))
	}
	return nil
}
