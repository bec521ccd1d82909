package events

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// CloudEvents 1.0 in binary content mode on NATS headers
// (github.com/cloudevents/spec, nats-protocol-binding §3.1), with the extension attributes of the shop at the end.
const (
	HeaderSpecVersion   = "ce-specversion"
	HeaderID            = "ce-id"
	HeaderType          = "ce-type"
	HeaderSource        = "ce-source"
	HeaderTime          = "ce-time"
	HeaderContentType   = "content-type" // datacontenttype
	HeaderVersion       = "ce-dataversion"
	HeaderRevision      = "ce-revision"
	HeaderTopology      = "ce-topology"
	HeaderActor         = "ce-actor"
	HeaderReason        = "ce-reason"
	HeaderVia           = "ce-via"
	HeaderCorrelationID = "ce-correlationid"
	HeaderCausationID   = "ce-causationid"
	HeaderTraceParent   = "traceparent"
)

// Actors: who caused an event. "system" is the shop itself, for decisions about an event or a deadline, and for imports.
// "customer:<id>", "staff:<id>" and "key:<id>" name an account.
const (
	ActorGuest  = "guest"
	ActorStripe = "stripe"
	ActorSystem = "system"

	ActorCustomer = "customer:" // a prefix: an account's id follows
	ActorStaff    = "staff:"    // a prefix: the name of a member of staff follows
	ActorKey      = "key:"      // a prefix: the name of an API key follows
)

// Every event has this version of the specification and a body of this type.
const (
	specVersion = "1.0"
	contentType = "application/json"
)

// Author is who caused an event and, of what staff do, why and from where.
type Author struct {
	Actor  string // such as "staff:mira"; "" is the shop itself
	Reason string // in the words of the person, at most [MaxReason] bytes
	Via    string // the tool and the address or host of the client, such as "console 192.0.2.7"
}

// IsStaff reports whether an actor is a member of staff or an API key.
func IsStaff(actor string) bool {
	return strings.HasPrefix(actor, ActorStaff) || strings.HasPrefix(actor, ActorKey)
}

// MaxReason is the maximum length of a reason, in bytes. A reason is a header of the event, so it has no line breaks.
const MaxReason = 1000

// Payload is the body of an event: a struct of this package.
type Payload interface {
	// EventType is the wire name, such as "orders.placed".
	EventType() string
}

// Event is one fact with its envelope.
type Event struct {
	ID            string    // unique per event, the same on every delivery
	Type          string    // such as "orders.placed"
	Version       int       // of the payload as it is stored; Payload always has the newest
	Source        string    // the domain that appended it, such as "orders"
	Time          time.Time // when it was decided, UTC, microseconds
	Actor         string    // who caused it, such as "guest"; "" is encoded as "system"
	Reason        string    // why, in the words of the member of staff who caused it, if any
	Via           string    // from where staff caused it, such as "console 192.0.2.7", if any
	Topology      int       // that a program must know to read it: see [Topology]
	CorrelationID string    // id of the order that it is about, if any
	CausationID   string    // id of the event that caused it, if any
	TraceParent   string    // W3C trace context, if any

	Revision uint64 // number among the events of its entity, from 1; 0 when it has none

	Subject  string
	Sequence uint64 // in the log; 0 until it is stored

	Payload Payload
}

// Encode renders an event as a message for its subject.
func Encode(e Event) (*nats.Msg, error) {
	def, ok := definitions[e.Payload.EventType()]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownType, e.Payload.EventType())
	}
	data, err := json.Marshal(e.Payload, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", def.Type, err)
	}
	h := headers{header: make(nats.Header, maxHeaders), values: make([]string, 0, maxHeaders)}
	h.set(HeaderSpecVersion, specVersion)
	h.set(HeaderID, e.ID)
	h.set(HeaderType, def.Type)
	h.set(HeaderSource, e.Source)
	h.set(HeaderTime, e.Time.UTC().Format(time.RFC3339Nano))
	h.set(HeaderContentType, contentType)
	h.set(HeaderVersion, strconv.Itoa(def.Version))
	h.set(HeaderTopology, strconv.Itoa(def.Since))
	h.set(HeaderActor, cmp.Or(e.Actor, ActorSystem))
	h.setIfPresent(HeaderReason, e.Reason)
	h.setIfPresent(HeaderVia, e.Via)
	if e.Revision > 0 {
		h.set(HeaderRevision, strconv.FormatUint(e.Revision, 10))
	}
	h.setIfPresent(HeaderCorrelationID, e.CorrelationID)
	h.setIfPresent(HeaderCausationID, e.CausationID)
	h.setIfPresent(HeaderTraceParent, e.TraceParent)
	return &nats.Msg{Subject: e.Subject, Header: h.header, Data: data}, nil
}

// maxHeaders is the most headers of an event: those above, its expected sequences, and the three of a batch.
const maxHeaders = 19

// headers builds a header whose values share one array, which saves an allocation per header.
type headers struct {
	header nats.Header
	values []string
}

func (h *headers) set(key, value string) {
	h.values = append(h.values, value)
	n := len(h.values)
	h.header[key] = h.values[n-1 : n : n]
}

func (h *headers) setIfPresent(key, value string) {
	if value != "" {
		h.set(key, value)
	}
}

// DecodeEnvelope reads the headers alone and leaves Payload nil, for readers that may not need the body. It returns
// [ErrNotAnEvent] when headers are missing or malformed.
func DecodeEnvelope(subject string, header nats.Header) (Event, error) {
	e := Event{
		ID: firstValue(header, HeaderID), Type: firstValue(header, HeaderType), Source: firstValue(header, HeaderSource),
		CorrelationID: firstValue(header, HeaderCorrelationID), CausationID: firstValue(header, HeaderCausationID),
		TraceParent: firstValue(header, HeaderTraceParent), Actor: firstValue(header, HeaderActor),
		Reason: firstValue(header, HeaderReason), Via: firstValue(header, HeaderVia), Subject: subject,
	}
	for _, required := range []string{HeaderID, HeaderType, HeaderSource, HeaderActor} {
		if firstValue(header, required) == "" {
			return e, fmt.Errorf("%w: no %s header", ErrNotAnEvent, required)
		}
	}
	if version := firstValue(header, HeaderSpecVersion); version != specVersion {
		return e, fmt.Errorf("%w: %s is %.20q, want %s", ErrNotAnEvent, HeaderSpecVersion, version, specVersion)
	}
	if kind := firstValue(header, HeaderContentType); kind != contentType {
		return e, fmt.Errorf("%w: %s is %.80q, want %s", ErrNotAnEvent, HeaderContentType, kind, contentType)
	}
	var err error
	if e.Topology, err = strconv.Atoi(firstValue(header, HeaderTopology)); err != nil || e.Topology < 1 {
		return e, fmt.Errorf("%w: %s is %.20q, want a number from 1 on", ErrNotAnEvent, HeaderTopology, firstValue(header, HeaderTopology))
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, firstValue(header, HeaderTime)); err != nil {
		return e, fmt.Errorf("%w: %s: %w", ErrNotAnEvent, HeaderTime, err)
	}
	if e.Version, err = strconv.Atoi(firstValue(header, HeaderVersion)); err != nil {
		return e, fmt.Errorf("%w: %s: %w", ErrNotAnEvent, HeaderVersion, err)
	}
	if revision := firstValue(header, HeaderRevision); revision != "" {
		if e.Revision, err = strconv.ParseUint(revision, 10, 64); err != nil {
			return e, fmt.Errorf("%w: %s: %w", ErrNotAnEvent, HeaderRevision, err)
		}
	}
	return e, nil
}

func firstValue(header nats.Header, key string) string {
	if values := header[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Decode reads a message into the newest version of its type. It returns [ErrNotAnEvent], [ErrUnknownType],
// [ErrUnknownVersion] or [ErrBadPayload], and with them the part of the envelope that could be read.
func Decode(subject string, header nats.Header, data []byte) (Event, error) {
	e, err := DecodeEnvelope(subject, header)
	if err != nil {
		return e, err
	}
	e.Payload, err = DecodePayload(e.Type, e.Version, data)
	return e, err
}

// IsKnown reports whether a type has a [Definition].
func IsKnown(eventType string) bool {
	_, ok := definitions[eventType]
	return ok
}

// DecodePayload reads the body of a type and version into the newest version. It returns [ErrUnknownType],
// [ErrUnknownVersion] or [ErrBadPayload]; a panic of an upcaster or a decoder is ErrBadPayload too.
func DecodePayload(eventType string, version int, data []byte) (payload Payload, err error) {
	defer func() {
		if r := recover(); r != nil {
			payload, err = nil, fmt.Errorf("%w: %s version %d: panic: %v", ErrBadPayload, eventType, version, r)
		}
	}()
	def, ok := definitions[eventType]
	if !ok {
		return nil, fmt.Errorf("%w: %.80q", ErrUnknownType, eventType)
	}
	if version < 1 || version > def.Version {
		return nil, fmt.Errorf("%w: %s version %d, this program reads 1 to %d", ErrUnknownVersion, eventType, version, def.Version)
	}
	for v := version; v < def.Version; v++ {
		upcast, err := def.Upcast[v](data)
		if err != nil {
			return nil, fmt.Errorf("%w: upcast %s from version %d: %w", ErrBadPayload, eventType, v, err)
		}
		data = upcast
	}
	payload, err = def.decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadPayload, eventType, err)
	}
	return payload, nil
}
