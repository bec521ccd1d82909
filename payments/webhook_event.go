package payments

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stripe/stripe-go/v76"

	"tillstream/events"
)

// How an event of Stripe was received.
const (
	viaWebhook    = "webhook"
	viaReconciler = "reconciler"
)

// checkOrigin returns [ErrForeign] for an event of another account or of the other mode. An event of the shop's own account names no
// account. One of an account that is connected to it names that account, and carries the same signature.
func checkOrigin(event stripeEvent, live bool) error {
	switch {
	case event.Account != "":
		return fmt.Errorf("%w: event %.80q of account %.80q", ErrForeign, event.ID, event.Account)
	case event.Livemode != live:
		return fmt.Errorf("%w: event %.80q has livemode %t, the shop %t", ErrForeign, event.ID, event.Livemode, live)
	}
	return nil
}

// parseListed reads an entry of Stripe's event list. It has no signature, because it was requested with the API key, and it may be in
// any version of Stripe's API: that of the account when the event happened. live is the mode of the shop. It returns [ErrForeign].
func parseListed(raw RawEvent, live bool) (events.WebhookReceived, error) {
	event, err := readEvent(raw.Body)
	if err != nil {
		return events.WebhookReceived{}, fmt.Errorf("parse listed event %s: %w", raw.ID, err)
	}
	if err := checkOrigin(event, live); err != nil {
		return events.WebhookReceived{}, err
	}
	return receivedEvent(event, raw.Body, viaReconciler)
}

// readEvent reads an event of Stripe in any version of its API.
func readEvent(body []byte) (event stripeEvent, err error) {
	if err := json.Unmarshal(body, &event); err != nil {
		return stripeEvent{}, err
	}
	if event.ID == "" || event.Type == "" || event.Data.Object == nil {
		return stripeEvent{}, errors.New("not an event: id, type or data.object is missing")
	}
	return event, nil
}

// receivedEvent returns the fact that Stripe's event was received, with the body of the event but without client secrets and personal data.
func receivedEvent(event stripeEvent, body []byte, via string) (events.WebhookReceived, error) {
	clean, err := redactSecrets(body)
	if err != nil {
		return events.WebhookReceived{}, fmt.Errorf("parse event %s: %w", event.ID, err)
	}
	return events.WebhookReceived{StripeEvent: event.ID, StripeType: event.Type, APIVersion: event.APIVersion,
		Livemode: event.Livemode, Via: via, Body: clean}, nil
}

// secretPattern matches client secrets inside texts, such as links to a bank's page.
var secretPattern = regexp.MustCompile(`[A-Za-z0-9]+_[A-Za-z0-9]+_(client_)?secret_[A-Za-z0-9]+|client_secret=[^&#]*`)

// unstored are the members of Stripe's objects that are not stored: the client secret, and what is about a person and decides nothing. A
// receipt_url shows the receipt to everyone.
var unstored = []string{"client_secret", "billing_details", "shipping", "receipt_email", "receipt_url", "evidence"}

// redactSecrets removes every unstored member and masks client secrets in texts. A client secret lets its holder pay or cancel for the
// shopper, and the log is kept forever. Everything else keeps its meaning, and numbers keep their digits.
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
			if isMemberName(in) && slices.Contains(unstored, text) {
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

// isMemberName reports whether the string just read is a member name: names and values of an object alternate.
func isMemberName(in *jsontext.Decoder) bool {
	kind, read := in.StackIndex(in.StackDepth())
	return kind == '{' && read%2 == 1
}

// storedEvent is the part of a stored event that decisions need.
type storedEvent struct {
	Account string    `json:"account"`
	Data    eventData `json:"data"`
}

// intentFrom returns the intent of an event; found is false for events about other objects and for foreign ones, which an earlier
// release stored. An intent in another version of Stripe's API is not read, because its fields may mean something else; Stripe is asked
// for it. intentFrom caches the intent, because an event is decided twice: when it is stored and when it is read from the log.
func (s *Service) intentFrom(w events.WebhookReceived) (in Intent, found bool, err error) {
	if w.Livemode != s.livemode || otherVersion(w) {
		return Intent{}, false, nil
	}
	key := parsedKey{w.StripeEvent, maphash.Bytes(parsedSeed, w.Body)}
	if in, ok := s.parsed.Get(key); ok {
		return in, true, nil
	}
	if in, found, err = intentFrom(w); found && err == nil {
		s.parsed.Add(key, in)
	}
	return in, found, err
}

// parsedKey identifies the body of an event of Stripe.
type parsedKey struct {
	event string
	body  uint64 // hash of the body
}

var parsedSeed = maphash.MakeSeed()

// intentFrom parses the intent of an event.
func intentFrom(w events.WebhookReceived) (in Intent, found bool, err error) {
	if !slices.Contains(intentTypes, w.StripeType) {
		return Intent{}, false, nil
	}
	var event storedEvent
	var pi stripe.PaymentIntent
	if err := json.Unmarshal(w.Body, &event); err != nil {
		return Intent{}, false, fmt.Errorf("parse event %s: %w", w.StripeEvent, err)
	}
	if event.Account != "" {
		return Intent{}, false, nil
	}
	if err := json.Unmarshal(event.Data.Object, &pi); err != nil {
		return Intent{}, false, fmt.Errorf("parse intent of event %s: %w", w.StripeEvent, err)
	}
	if pi.Object != "payment_intent" || pi.ID == "" {
		return Intent{}, false, fmt.Errorf("%w: event %s has object %.40q, want payment_intent", ErrUnmatched, w.StripeEvent, pi.Object)
	}
	in = intentOf(&pi)
	if in.PaymentID == "" {
		return Intent{}, false, fmt.Errorf("%w: intent %s of event %s names no payment", ErrUnmatched, in.ID, w.StripeEvent)
	}
	if in.LastError != nil && in.LastError.Fact == "" {
		in.LastError.Fact = w.StripeEvent
	}
	return in, true, nil
}

// otherVersion reports whether a stored event is in another version of Stripe's API. Only the reconciler stores such events.
func otherVersion(w events.WebhookReceived) bool {
	return w.APIVersion != "" && !AcceptsAPIVersion(w.APIVersion)
}

// needsIntent reports whether the intent of an event must be retrieved: the event has too little of it, or has it in another version
// of Stripe's API.
func needsIntent(w events.WebhookReceived) bool {
	return slices.Contains(chargeTypes, w.StripeType) || slices.Contains(intentTypes, w.StripeType) && otherVersion(w)
}

// onlyStripeKnows reports whether only Stripe can tell whether an event is about a payment of the shop, for one that names none.
func onlyStripeKnows(w events.WebhookReceived) bool {
	about := targetOf(w)
	return (needsIntent(w) || slices.Contains(disputeTypes, w.StripeType)) && !about.foreign()
}
