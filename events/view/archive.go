package view

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/internal/feed"
)

// Archived is one message of the log as the archive keeps it: enough to put it back. It is flat on purpose: FerretDB
// stores a schema with every document, and nested headers made that larger than the event.
type Archived struct {
	ID      string    `bson:"_id"` // stream/sequence
	EventID string    `bson:"event_id"`
	Type    string    `bson:"type"`
	Subject string    `bson:"subject"`
	Stored  time.Time `bson:"stored"`         // by the broker
	Headers string    `bson:"headers"`        // as on the wire: "name: value" lines
	Data    string    `bson:"data,omitempty"` // the body, where it is text
	Bytes   []byte    `bson:"bytes,omitempty"`
}

func archived(stream string, m feed.Message) (Archived, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Archived{}, fmt.Errorf("archive %s/%d: %w", stream, m.Sequence, err)
	}
	header := m.Headers()
	a := Archived{
		ID: fmt.Sprintf("%s/%d", stream, m.Sequence), EventID: header.Get(events.HeaderID), Type: header.Get(events.HeaderType),
		Subject: m.Subject(), Stored: meta.Timestamp.UTC(), Headers: wireHeaders(header),
	}
	if data := m.Data(); utf8.Valid(data) && !bytes.ContainsRune(data, 0) {
		a.Data = string(data)
	} else {
		a.Bytes = data
	}
	return a, nil
}

func wireHeaders(header nats.Header) string {
	var out bytes.Buffer
	for name, values := range header {
		for _, v := range values {
			out.WriteString(name)
			out.WriteString(": ")
			out.WriteString(v)
			out.WriteString("\r\n")
		}
	}
	return out.String()
}
