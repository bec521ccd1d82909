package archive

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Archived is one message of the log as the archive stores it, complete enough to append it again.
type Archived struct {
	Sequence uint64      `json:"sequence"`
	Stored   time.Time   `json:"stored"` // by the broker
	Subject  string      `json:"subject"`
	Headers  nats.Header `json:"headers"`
	Text     string      `json:"text,omitempty"`  // the body, where it is text
	Bytes    []byte      `json:"bytes,omitempty"` // the body, where it is not
}

// EventID returns the id of the event, "" when the message has none.
func (a Archived) EventID() string { return a.Headers.Get(events.HeaderID) }

// Body returns the body of the message.
func (a Archived) Body() []byte {
	if a.Text != "" {
		return []byte(a.Text)
	}
	return a.Bytes
}

// Message returns the message as the log stored it.
func (a Archived) Message() eventlog.Message {
	return eventlog.Message{Sequence: a.Sequence, Subject: a.Subject, Stored: a.Stored, Header: a.Headers, Data: a.Body()}
}

// From returns a message of the log as the archive stores it.
func From(m eventlog.Message) Archived {
	a := Archived{Sequence: m.Sequence, Stored: m.Stored.UTC(), Subject: m.Subject, Headers: nats.Header{}}
	for name, values := range m.Header {
		if !slices.Contains(deliveryHeaders, name) {
			a.Headers[name] = values
		}
	}
	if utf8.Valid(m.Data) {
		a.Text = string(m.Data)
	} else {
		a.Bytes = m.Data
	}
	return a
}

// deliveryHeaders are added by the broker when it delivers a message. They are not part of the stored message.
var deliveryHeaders = []string{"Nats-Pin-Id", jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer,
	jetstream.LastSequenceHeader, "Nats-Num-Pending"}

// chunk is a document with consecutive messages. One document per message would cost FerretDB more than the rest of its work for
// an order: it stores a schema with every document and two indexes of ids.
type chunk struct {
	ID       string `bson:"_id"`      // sequence of the first message, in twelve digits
	Last     uint64 `bson:"last"`     // sequence of the last message
	Messages []byte `bson:"messages"` // zstd (RFC 8878) of one line of JSON per message, as in Archived
}

func chunkID(first uint64) string { return fmt.Sprintf("%012d", first) }

// first returns the sequence of the first message, which is in the id.
func (c chunk) first() (uint64, error) {
	first, err := strconv.ParseUint(c.ID, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("archive: %q is not the id of a chunk", c.ID)
	}
	return first, nil
}

// compressor and decompressor are safe for concurrent use: EncodeAll and DecodeAll keep no state between calls.
var (
	compressor   = must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20)))
	decompressor = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20)))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options are constants
	}
	return v
}

// lineOverhead is the approximate size of a line without the body.
const lineOverhead = 700

// pack encodes messages as a chunk.
func pack(messages []Archived) (chunk, error) {
	size := 0
	for _, m := range messages {
		size += lineOverhead + len(m.Text) + len(m.Text)/8 + 2*len(m.Bytes)
	}
	lines := bytes.NewBuffer(make([]byte, 0, size)) // growing it would be a tenth of all allocations of the shop
	for _, m := range messages {
		if err := json.MarshalWrite(lines, m, json.Deterministic(true), jsontext.AllowInvalidUTF8(true)); err != nil {
			return chunk{}, fmt.Errorf("archive %d: %w", m.Sequence, err)
		}
		lines.WriteByte('\n')
	}
	return chunk{ID: chunkID(messages[0].Sequence), Last: messages[len(messages)-1].Sequence,
		Messages: compressor.EncodeAll(lines.Bytes(), nil)}, nil
}

// unpack decodes the messages of a chunk. It returns [ErrDamaged] when they are not the consecutive messages that the chunk names.
func (c chunk) unpack() ([]Archived, error) {
	lines, err := decompressor.DecodeAll(c.Messages, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: unpack %s: %w", ErrDamaged, c.ID, err)
	}
	next, err := c.first()
	if err != nil {
		return nil, err
	}
	var messages []Archived
	decoder := jsontext.NewDecoder(bytes.NewReader(lines))
	for decoder.PeekKind() != 0 {
		var m Archived
		if err := json.UnmarshalDecode(decoder, &m); err != nil {
			return nil, fmt.Errorf("%w: unpack %s: %w", ErrDamaged, c.ID, err)
		}
		if m.Sequence != next {
			return nil, fmt.Errorf("%w: unpack %s: %d instead of %d", ErrDamaged, c.ID, m.Sequence, next)
		}
		messages, next = append(messages, m), next+1
	}
	if next != c.Last+1 || len(messages) == 0 {
		return nil, fmt.Errorf("%w: unpack %s: it ends before %d", ErrDamaged, c.ID, c.Last)
	}
	return messages, nil
}
