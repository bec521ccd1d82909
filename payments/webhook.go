package payments

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"tillstream/events"
	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
)

const (
	webhookBodyLimit   = 256 << 10
	webhookReadTimeout = 5 * time.Second // for a slow body
	webhookTolerance   = 5 * time.Minute // of a signature's age, either way
)

// webhooks is the journal of Stripe's events that show no intent of a payment of ours.
var webhooks = eventlog.Journal{Subject: events.SubjectWebhooks}

// How an event came to us.
const (
	viaWebhook    = "webhook"
	viaReconciler = "reconciler"
)

var (
	// ErrBadWebhook is returned when what was posted is not an event that Stripe signed for us, just now.
	ErrBadWebhook = errors.New("bad webhook")

	errTimestamp = errors.New("timestamp outside of tolerance")
)

// intentTypes are the events whose object is an intent, which names its order.
var intentTypes = []string{
	string(stripe.EventTypePaymentIntentAmountCapturableUpdated),
	string(stripe.EventTypePaymentIntentSucceeded),
	string(stripe.EventTypePaymentIntentPaymentFailed),
	string(stripe.EventTypePaymentIntentCanceled),
	string(stripe.EventTypePaymentIntentRequiresAction),
	string(stripe.EventTypePaymentIntentProcessing),
}

// chargeTypes are the events whose object only names an intent.
var chargeTypes = []string{
	string(stripe.EventTypeChargeRefunded),
	string(stripe.EventTypeChargeRefundUpdated),
	string(stripe.EventTypeRefundCreated),
	string(stripe.EventTypeRefundUpdated),
}

type webhookInput struct {
	Signature string `header:"Stripe-Signature" doc:"Stripe's signature of the body: t=…,v1=…"`
	RawBody   []byte `contentType:"application/json"`
}

func (s *Service) registerWebhook(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "receive-stripe-webhook", Method: http.MethodPost, Path: "/webhooks/stripe",
		Summary:          "Take an event from Stripe",
		Description:      "The body is stored as signed, without client secrets, together with what it leads to.",
		Tags:             []string{"Payments"},
		DefaultStatus:    http.StatusOK,
		SkipValidateBody: true, // the signature is over the bytes; what they mean is decided by the rules
		MaxBodyBytes:     webhookBodyLimit, BodyReadTimeout: webhookReadTimeout,
		Errors: []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable},
	}, s.receiveWebhook)
}

// receiveWebhook stores an event, and what it leads to, before it thanks for it.
func (s *Service) receiveWebhook(ctx context.Context, in *webhookInput) (*struct{}, error) {
	received, err := verifyWebhook(in.RawBody, in.Signature, s.config.WebhookSecret, s.log.Now())
	if err != nil {
		s.logger.Warn("webhook refused", "error", err)
		return nil, huma.Error400BadRequest("this is not an event that Stripe signed for this shop just now")
	}
	failpoint.At("http.webhook_received")
	if err := s.Receive(ctx, received); err != nil {
		return nil, s.problem(ctx, err)
	}
	failpoint.At("http.webhook_stored")
	return nil, nil
}

// Receive commits an event of Stripe's together with what it leads to, in this domain and in the others of this process.
func (s *Service) Receive(ctx context.Context, received events.WebhookReceived) error {
	err := s.log.DoCascade(ctx, func(tx *eventlog.Tx) error {
		tx.WithActor(events.ActorStripe)
		return s.appendReceived(tx, received)
	})
	if err != nil {
		return fmt.Errorf("store Stripe event %s: %w", received.StripeEvent, err)
	}
	return nil
}

// appendReceived appends an event of Stripe's. One that shows the intent of a payment of ours becomes an event of that
// payment, together with what RecordIntent makes of it: such an append carries an expectation, so it is recognised when its commit
// goes unanswered. Every other one is noted in the journal. What RecordIntent refuses is appended alone: the route refuses it again
// when the event is read, and it becomes a dead letter. Stripe gets its 200 all the same, because sending the event again
// would not help.
func (s *Service) appendReceived(tx *eventlog.Tx, received events.WebhookReceived) error {
	in, found, err := s.intentFrom(received)
	if err != nil || !found || events.CheckID(in.PaymentID) != nil {
		return webhooks.Append(tx, received) // an event that cannot be read becomes a dead letter by its route
	}
	p, err := Payments.Load(tx, in.PaymentID)
	if errors.Is(err, eventlog.ErrUnreadable) || err == nil && !p.Exists() {
		return webhooks.Append(tx, received)
	}
	if err != nil {
		return err
	}
	tx.WithCorrelation(p.OrderID)
	if err := Payments.Append(tx, in.PaymentID, received); err != nil {
		return err
	}
	facts, err := RecordIntent(p, in, s.livemode)
	if err != nil {
		return nil //nolint:nilerr // the route refuses it again
	}
	tx.CausedBy(tx.Fact(tx.Len() - 1))
	tx.WithActor(events.ActorStripe)
	return appendFacts(tx, in.PaymentID, facts, nil)
}

// verifyWebhook checks who sent a body, when, and in which version of the API, and only then looks at it.
// It returns [ErrBadWebhook].
func verifyWebhook(body []byte, signature, secret string, now time.Time) (events.WebhookReceived, error) {
	if err := checkTimestamp(signature, now); err != nil {
		return events.WebhookReceived{}, fmt.Errorf("%w: %w", ErrBadWebhook, err)
	}
	event, err := webhook.ConstructEventWithOptions(body, signature, secret, webhook.ConstructEventOptions{IgnoreTolerance: true})
	if err != nil {
		return events.WebhookReceived{}, fmt.Errorf("%w: %w", ErrBadWebhook, err)
	}
	received, err := parseEvent(event, body, viaWebhook)
	if err != nil {
		return events.WebhookReceived{}, fmt.Errorf("%w: %w", ErrBadWebhook, err)
	}
	return received, nil
}

// checkTimestamp bounds the signature's age by our clock, and its future as well, which the SDK does not.
// The last t counts, as it does for the SDK: it is the one that was signed.
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

// parseListed makes the fact of an entry of Stripe's event list, which our key has vouched for.
func parseListed(raw RawEvent) (events.WebhookReceived, error) {
	var event stripe.Event
	if err := json.Unmarshal(raw.Body, &event); err != nil {
		return events.WebhookReceived{}, fmt.Errorf("read listed event %s: %w", raw.ID, err)
	}
	return parseEvent(event, raw.Body, viaReconciler)
}

// parseEvent makes the fact of an event and its body.
func parseEvent(event stripe.Event, body []byte, via string) (events.WebhookReceived, error) {
	if event.ID == "" || event.Type == "" || event.Data == nil {
		return events.WebhookReceived{}, errors.New("not an event: id, type or data is missing")
	}
	clean, err := redactSecrets(body)
	if err != nil {
		return events.WebhookReceived{}, fmt.Errorf("read event %s: %w", event.ID, err)
	}
	return events.WebhookReceived{StripeEvent: event.ID, StripeType: string(event.Type), APIVersion: event.APIVersion,
		Livemode: event.Livemode, Via: via, Body: clean}, nil
}

// secretPattern finds client secrets inside of texts: links to a bank's page carry them.
var secretPattern = regexp.MustCompile(`[A-Za-z0-9]+_[A-Za-z0-9]+_(client_)?secret_[A-Za-z0-9]+|client_secret=[^&#]*`)

// redactSecrets leaves out every member called client_secret, and masks client secrets in texts. Who has one can pay or
// cancel in the shopper's name, and the log is kept for ever. Everything else keeps its meaning; numbers keep their digits.
func redactSecrets(body []byte) (jsontext.Value, error) {
	var out bytes.Buffer
	in, to := jsontext.NewDecoder(bytes.NewReader(body)), jsontext.NewEncoder(&out)
	for {
		token, err := in.ReadToken()
		if errors.Is(err, io.EOF) {
			return bytes.TrimSpace(out.Bytes()), nil
		}
		if err != nil {
			return nil, err
		}
		if token.Kind() == '"' {
			text := token.String()
			if isMemberName(in) && text == "client_secret" {
				if err := in.SkipValue(); err != nil {
					return nil, err
				}
				continue
			}
			if strings.Contains(text, "secret") {
				token = jsontext.String(secretPattern.ReplaceAllString(text, "cut"))
			}
		}
		if err := to.WriteToken(token); err != nil {
			return nil, err
		}
	}
}

// isMemberName reports whether the string that was just read names a member: names and values of an object alternate.
func isMemberName(in *jsontext.Decoder) bool {
	kind, read := in.StackIndex(in.StackDepth())
	return kind == '{' && read%2 == 1
}

// stored is the part of a stored event that decisions need.
type storedEvent struct {
	Data struct {
		Object json.RawMessage `json:"object"`
	} `json:"data"`
}

// intentFrom reads the intent that an event shows. found is false for events about something else. What was read is kept for
// a while: the same event is decided about when it is webhooksStored and when it is read from the log.
func (s *Service) intentFrom(w events.WebhookReceived) (in Intent, found bool, err error) {
	key := parsedKey{w.StripeEvent, maphash.Bytes(parsedSeed, w.Body)}
	if in, ok := s.parsed.Get(key); ok {
		return in, true, nil
	}
	if in, found, err = intentFrom(w); found && err == nil {
		s.parsed.Add(key, in)
	}
	return in, found, err
}

// parsedKey names an event of Stripe's as it was webhooksStored.
type parsedKey struct {
	event string
	body  uint64 // hash
}

var parsedSeed = maphash.MakeSeed()

// intentFrom reads the intent anew.
func intentFrom(w events.WebhookReceived) (in Intent, found bool, err error) {
	if !slices.Contains(intentTypes, w.StripeType) {
		return Intent{}, false, nil
	}
	var event storedEvent
	var pi stripe.PaymentIntent
	if err := json.Unmarshal(w.Body, &event); err != nil {
		return Intent{}, false, fmt.Errorf("read %s: %w", w.StripeEvent, err)
	}
	if err := json.Unmarshal(event.Data.Object, &pi); err != nil {
		return Intent{}, false, fmt.Errorf("read intent of %s: %w", w.StripeEvent, err)
	}
	if pi.Object != "payment_intent" || pi.ID == "" {
		return Intent{}, false, fmt.Errorf("%w: %s holds a %.40q, not a payment_intent", ErrUnmatched, w.StripeEvent, pi.Object)
	}
	in = intentOf(&pi)
	if in.PaymentID == "" {
		return Intent{}, false, fmt.Errorf("%w: intent %s of %s names no payment", ErrUnmatched, in.ID, w.StripeEvent)
	}
	if in.LastError != nil && in.LastError.Fact == "" {
		in.LastError.Fact = w.StripeEvent
	}
	return in, true, nil
}

// intentIDFrom reads which intent an event about a charge or refund belongs to. found is false for other events, and
// for charges that have no intent, which are none of ours.
func intentIDFrom(w events.WebhookReceived) (id string, found bool, err error) {
	if !slices.Contains(chargeTypes, w.StripeType) {
		return "", false, nil
	}
	var event storedEvent
	var object struct {
		PaymentIntent string `json:"payment_intent"`
	}
	if err := json.Unmarshal(w.Body, &event); err != nil {
		return "", false, fmt.Errorf("read %s: %w", w.StripeEvent, err)
	}
	if err := json.Unmarshal(event.Data.Object, &object); err != nil {
		return "", false, fmt.Errorf("read %s of %s: %w", w.StripeType, w.StripeEvent, err)
	}
	return object.PaymentIntent, object.PaymentIntent != "", nil
}
