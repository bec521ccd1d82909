package payments

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// stripeEvent is the part of an event of Stripe that is read when it arrives. Its fields are the same in all versions of Stripe's API,
// unlike others: request was a text once.
type stripeEvent struct {
	ID         string    `json:"id"`
	Object     string    `json:"object"`
	APIVersion string    `json:"api_version"`
	Account    string    `json:"account,omitempty"` // a connected account; absent in events of the shop's own
	Created    int64     `json:"created"`
	Livemode   bool      `json:"livemode"`
	Type       string    `json:"type"`
	Data       eventData `json:"data"`
}

type eventData struct {
	Object json.RawMessage `json:"object"`
}

// target is what the object of an event names: the intent and, in its metadata, the payment and the order. Everyone with the keys of
// the account can write metadata, and other programs use the same keys.
type target struct {
	object  string // Stripe's type of the object, such as "charge"
	intent  string // "" if the object names none
	payment string
	order   string
}

// reference is the id of an object of Stripe that another one names, either by its id or with the whole object. Anything else names none.
type reference string

// UnmarshalJSON implements json.Unmarshaler. It returns no error.
func (r *reference) UnmarshalJSON(text []byte) error {
	var id string
	var object struct {
		ID string `json:"id"`
	}
	switch {
	case json.Unmarshal(text, &id) == nil:
		*r = reference(id)
	case json.Unmarshal(text, &object) == nil:
		*r = reference(object.ID)
	}
	return nil
}

// metadata are the texts that a program has attached to an object of Stripe. It has no entry for what is not a text.
type metadata map[string]string

// UnmarshalJSON implements json.Unmarshaler. It returns no error.
func (m *metadata) UnmarshalJSON(text []byte) error {
	var values map[string]reference
	if json.Unmarshal(text, &values) != nil {
		return nil //nolint:nilerr // names nothing
	}
	*m = metadata{}
	for key, value := range values {
		(*m)[key] = string(value)
	}
	return nil
}

// stripeObject is the part of an object of Stripe that identifies it, and what it is about.
type stripeObject struct {
	ID            reference `json:"id"`
	Object        reference `json:"object"`
	PaymentIntent reference `json:"payment_intent,omitempty"`
	Metadata      metadata  `json:"metadata,omitempty"`
}

// objectOf returns the object of a stored event. One that cannot be read has no fields, and so names no payment.
func objectOf(body []byte) (object stripeObject) {
	var event storedEvent
	if err := json.Unmarshal(body, &event); err != nil || event.Account != "" {
		return stripeObject{}
	}
	if err := json.Unmarshal(event.Data.Object, &object); err != nil {
		return stripeObject{}
	}
	return object
}

// targetOf returns what an event names.
func targetOf(w events.WebhookReceived) target {
	object := objectOf(w.Body)
	t := target{object: string(object.Object), intent: string(object.PaymentIntent),
		payment: object.Metadata[metadataPayment], order: object.Metadata[metadataOrder]}
	if slices.Contains(intentTypes, w.StripeType) {
		t.intent = string(object.ID)
	}
	return t
}

// find returns the payment of the shop that a target names: the payment itself, or that of the order. If there is none, the zero
// Payment, the target is of another program that uses the Stripe account. It returns an error of load except [eventlog.ErrNotFound].
func (t target) find(load func(id string) (Payment, error)) (Payment, error) {
	ids := []string{t.payment}
	if t.order != "" {
		ids = append(ids, events.FirstPaymentID(t.order))
	}
	for _, id := range slices.Compact(ids) {
		if events.CheckID(id) != nil {
			continue
		}
		p, err := load(id)
		if errors.Is(err, eventlog.ErrNotFound) {
			continue
		}
		if err != nil || p.Exists() {
			return p, err
		}
	}
	return Payment{}, nil
}

// foreign reports whether a target that names no payment of the shop is certainly not about one. A charge has the metadata of its
// intent. A refund that staff made in Stripe's dashboard has none, so its intent must be retrieved.
func (t target) foreign() bool {
	return t.intent == "" || t.payment != "" || t.object == "charge" || t.object == "payment_intent"
}

// outline returns an event that names no payment of the shop without what it says about other people. It keeps the shape of an event of
// Stripe: id, type, version, time and mode, the id of its object and, if Stripe must be asked whose that is, the intent that it names.
func outline(w events.WebhookReceived) (events.WebhookReceived, error) {
	var event stripeEvent
	if err := json.Unmarshal(w.Body, &event); err != nil {
		return w, fmt.Errorf("parse event %s: %w", w.StripeEvent, err)
	}
	object := objectOf(w.Body)
	if !onlyStripeKnows(w) {
		object.PaymentIntent = ""
	}
	object.Metadata = nil
	var err error
	if event.Data.Object, err = json.Marshal(object); err != nil {
		return w, fmt.Errorf("outline event %s: %w", w.StripeEvent, err)
	}
	if w.Body, err = json.Marshal(event); err != nil {
		return w, fmt.Errorf("outline event %s: %w", w.StripeEvent, err)
	}
	return w, nil
}
