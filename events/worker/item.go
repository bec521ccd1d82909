package worker

import (
	"fmt"
	"sync"

	"tillstream/events"
	"tillstream/events/log"
)

// Item is one message of the log as lanes see it. It is decoded once, by the first lane that asks.
type Item struct {
	log.Message
	bytes int // that it takes in the ring

	readEnvelope sync.Once
	envelope     events.Event
	envelopeErr  error

	readPayload sync.Once
	payload     events.Payload
	payloadErr  error
}

// Envelope returns the event without its payload. Its errors are [events.ErrNotAnEvent] and [events.ErrUnknownType]; the
// envelope is filled in as far as it could be read.
func (i *Item) Envelope() (events.Event, error) {
	i.readEnvelope.Do(func() {
		i.envelope, i.envelopeErr = events.DecodeEnvelope(i.Subject, i.Header)
		if i.envelopeErr == nil && !events.IsKnown(i.envelope.Type) {
			i.envelopeErr = fmt.Errorf("%w: %.80q", events.ErrUnknownType, i.envelope.Type)
		}
		i.envelope.Sequence = i.Sequence
	})
	return i.envelope, i.envelopeErr
}

// Event returns the whole event. Its errors are those of [events.Decode].
func (i *Item) Event() (events.Event, error) {
	e, err := i.Envelope()
	if err != nil {
		return e, err
	}
	i.readPayload.Do(func() {
		i.payload, i.payloadErr = events.DecodePayload(e.Type, e.Version, i.Data)
	})
	e.Payload = i.payload
	return e, i.payloadErr
}
