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
	// ErrAPIVersion is returned for an event of Stripe in another version of its API than [StripeAPIVersion].
	ErrAPIVersion = errors.New("event in another API version")
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

// receiveWebhook stores an event and its decisions before it answers 200, after which Stripe does not send the event again. An event
// of another account or mode is answered 200 and not stored: Stripe would repeat it for days, and disable the endpoint. One in another
// version of Stripe's API is answered 400, so that Stripe's dashboard shows the answer and sends the event again. Until the endpoint
// has the right version, the reconciler finds what the event reports.
func (s *Service) receiveWebhook(ctx context.Context, in *webhookInput) (*struct{}, error) {
	received, err := verifyWebhook(in.RawBody, in.Signature, s.config.WebhookSecret, s.livemode, s.log.Now())
	switch {
	case errors.Is(err, ErrForeign):
		s.passed.add(webhookForeign, err)
		return nil, nil
	case errors.Is(err, ErrAPIVersion):
		s.passed.add(webhookVersion, err)
		return nil, huma.Error400BadRequest(fmt.Sprintf("%v. Create a webhook endpoint with API version %s; payments check says how.", err, StripeAPIVersion))
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
	var result string
	err := s.log.DoCascade(ctx, func(tx *eventlog.Tx) (err error) {
		tx.WithActor(events.ActorStripe)
		result, err = s.appendReceived(tx, received)
		return err
	})
	if err != nil {
		return fmt.Errorf("store Stripe event %s: %w", received.StripeEvent, err)
	}
	s.cursor.stored.Add(received.StripeEvent, struct{}{})
	s.metrics.webhooks.WithLabelValues(result).Inc()
	return nil
}

// appendReceived appends an event of Stripe, unless it is stored already, and returns the result to count. An event that names a payment
// of the shop is appended to that payment, with the facts of RecordReport. This append has an expected sequence, so a commit whose
// answer was lost is recognized. Every other event is appended to payments.webhooks: an event that names no payment of the shop in
// outline, and one whose payment cannot be told or read as it is. An event that RecordReport refuses is appended alone; its route
// refuses it again, and it becomes a dead letter. Stripe is answered 200 even then, because sending the event again would not help.
func (s *Service) appendReceived(tx *eventlog.Tx, received events.WebhookReceived) (result string, err error) {
	about := targetOf(received)
	p, err := about.find(func(id string) (Payment, error) { return Payments.Load(tx, id) })
	switch {
	case errors.Is(err, eventlog.ErrUnreadable):
		return s.appendUnmatched(tx, received)
	case err != nil:
		return "", err
	case !p.Exists():
		return s.appendOutline(tx, received)
	case p.ID != about.payment:
		return s.appendUnmatched(tx, received)
	}
	if _, stored := p.Webhooks[received.StripeEvent]; stored {
		return webhookRepeated, nil
	}
	tx.WithCorrelation(p.OrderID)
	if err := Payments.Append(tx, p.ID, received); err != nil {
		return "", err
	}
	in, found, err := s.intentFrom(received)
	if err != nil || !found {
		return webhookStored, nil //nolint:nilerr // its route makes an unreadable event a dead letter
	}
	facts, err := s.reportRule(in)(p)
	if err != nil {
		return webhookStored, nil //nolint:nilerr // the route refuses the event again
	}
	tx.CausedBy(tx.Fact(tx.Len() - 1))
	tx.WithActor(events.ActorStripe)
	return webhookStored, appendFacts(tx, p.ID, facts, nil)
}

// appendOutline appends the outline of an event that names no payment of the shop. It is foreign, unless Stripe must be asked whose it
// is. Repeated events are not stored again, so another program's events cannot fill the log faster than they happen.
func (s *Service) appendOutline(tx *eventlog.Tx, received events.WebhookReceived) (result string, err error) {
	foreign := !onlyStripeKnows(received)
	if received, err = outline(received); err != nil {
		return "", err
	}
	if result, err = s.appendUnmatched(tx, received); foreign && result == webhookStored {
		result = webhookForeign
	}
	return result, err
}

// appendUnmatched appends an event to payments.webhooks, unless this process remembers that it is stored. The memory holds the latest
// events and ends with the process; an event that is stored again adds no second fact.
func (s *Service) appendUnmatched(tx *eventlog.Tx, received events.WebhookReceived) (result string, err error) {
	if s.cursor.stored.Contains(received.StripeEvent) {
		return webhookRepeated, nil
	}
	return webhookStored, webhooks.Append(tx, received)
}

// verifyWebhook checks signature and time of a body before it reads the body, and then account, mode and API version. live is the mode
// of the shop. It returns [ErrBadWebhook], [ErrForeign] or [ErrAPIVersion].
func verifyWebhook(body []byte, signature, secret string, live bool, now time.Time) (events.WebhookReceived, error) {
	if err := checkTimestamp(signature, now); err != nil {
		return events.WebhookReceived{}, fmt.Errorf("%w: %w", ErrBadWebhook, err)
	}
	if err := webhook.ValidatePayloadIgnoringTolerance(body, signature, secret); err != nil {
		return events.WebhookReceived{}, fmt.Errorf("%w: %w", ErrBadWebhook, err)
	}
	event, err := readEvent(body)
	if err != nil {
		return events.WebhookReceived{}, fmt.Errorf("%w: %w", ErrBadWebhook, err)
	}
	if err := checkOrigin(event, live); err != nil {
		return events.WebhookReceived{}, err
	}
	if !AcceptsAPIVersion(event.APIVersion) {
		return events.WebhookReceived{}, fmt.Errorf("%w: event %.80q has API version %.40q, the shop needs %q", ErrAPIVersion, event.ID, event.APIVersion, StripeAPIVersion)
	}
	received, err := receivedEvent(event, body, viaWebhook)
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
