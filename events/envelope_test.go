package events_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"tillstream/events"
)

func sampleEvent() events.Event {
	return events.Event{
		ID: "0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10", Type: "payments.cancelled", Version: 1, Source: "payments",
		Time:          time.Date(2026, 11, 21, 9, 30, 0, 123456000, time.UTC),
		CorrelationID: "order-1", CausationID: "0197e3a0-0000-7000-8000-000000000000",
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Actor:       events.ActorStripe,
		Topology:    1,
		Revision:    4,
		Subject:     "payments.order-1",
		Payload:     events.PaymentCancelled{OrderID: "order-1", PaymentID: "payment-1", PaymentIntent: "pi_1", Reason: "expired"},
	}
}

func encode(t *testing.T, e events.Event) *nats.Msg {
	t.Helper()
	msg, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestEnvelopeSurvivesARoundTrip(t *testing.T) {
	t.Parallel()
	bare := sampleEvent()
	bare.CorrelationID, bare.CausationID, bare.TraceParent, bare.Revision, bare.Actor = "", "", "", 0, events.ActorSystem
	for name, want := range map[string]events.Event{"Full": sampleEvent(), "Bare": bare} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg := encode(t, want)
			got, err := events.Decode(msg.Subject, msg.Header, msg.Data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after the round trip (-want +got):\n%s", diff)
			}
		})
	}
}

// Other programs read these header names: CloudEvents 1.0 in binary mode on NATS.
func TestEnvelopeHasTheHeadersOfCloudEvents(t *testing.T) {
	t.Parallel()
	msg := encode(t, sampleEvent())
	want := nats.Header{
		"ce-specversion":   {"1.0"},
		"ce-id":            {"0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10"},
		"ce-type":          {"payments.cancelled"},
		"ce-source":        {"payments"},
		"ce-time":          {"2026-11-21T09:30:00.123456Z"},
		"ce-actor":         {"stripe"},
		"ce-topology":      {"1"},
		"content-type":     {"application/json"},
		"ce-dataversion":   {"1"},
		"ce-revision":      {"4"},
		"ce-correlationid": {"order-1"},
		"ce-causationid":   {"0197e3a0-0000-7000-8000-000000000000"},
		"traceparent":      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	if diff := cmp.Diff(want, msg.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if want := `{"order_id":"order-1","payment_id":"payment-1","payment_intent":"pi_1","reason":"expired"}`; string(msg.Data) != want {
		t.Errorf("got body %s, want %s", msg.Data, want)
	}
}

func TestEnvelopeTimeIsUTC(t *testing.T) {
	t.Parallel()
	e := sampleEvent()
	e.Time = e.Time.In(time.FixedZone("Berlin", 3600))
	if got := encode(t, e).Header[events.HeaderTime]; !cmp.Equal(got, []string{"2026-11-21T09:30:00.123456Z"}) {
		t.Errorf("got time header %q, want 2026-11-21T09:30:00.123456Z", got)
	}
}

// Row 20 of the fault matrix, the envelope: every unreadable message has its error, and Decode returns what it could read.
func TestDecodeRefusesMalformedMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*nats.Msg)
		want   error
	}{
		"NoHeaders":      {func(m *nats.Msg) { m.Header = nil }, events.ErrNotAnEvent},
		"NoID":           {func(m *nats.Msg) { delete(m.Header, events.HeaderID) }, events.ErrNotAnEvent},
		"NoType":         {func(m *nats.Msg) { delete(m.Header, events.HeaderType) }, events.ErrNotAnEvent},
		"NoSource":       {func(m *nats.Msg) { delete(m.Header, events.HeaderSource) }, events.ErrNotAnEvent},
		"NoActor":        {func(m *nats.Msg) { delete(m.Header, events.HeaderActor) }, events.ErrNotAnEvent},
		"NoSpecVersion":  {func(m *nats.Msg) { delete(m.Header, events.HeaderSpecVersion) }, events.ErrNotAnEvent},
		"SpecVersion2":   {withHeader(events.HeaderSpecVersion, "2.0"), events.ErrNotAnEvent},
		"NoContentType":  {func(m *nats.Msg) { delete(m.Header, events.HeaderContentType) }, events.ErrNotAnEvent},
		"XML":            {withHeader(events.HeaderContentType, "application/xml"), events.ErrNotAnEvent},
		"NoTopology":     {func(m *nats.Msg) { delete(m.Header, events.HeaderTopology) }, events.ErrNotAnEvent},
		"TopologyZero":   {withHeader(events.HeaderTopology, "0"), events.ErrNotAnEvent},
		"NoTime":         {func(m *nats.Msg) { delete(m.Header, events.HeaderTime) }, events.ErrNotAnEvent},
		"BadTime":        {withHeader(events.HeaderTime, "yesterday"), events.ErrNotAnEvent},
		"NoVersion":      {func(m *nats.Msg) { delete(m.Header, events.HeaderVersion) }, events.ErrNotAnEvent},
		"BadRevision":    {withHeader(events.HeaderRevision, "first"), events.ErrNotAnEvent},
		"EmptyHeader":    {func(m *nats.Msg) { m.Header[events.HeaderID] = []string{} }, events.ErrNotAnEvent},
		"UnknownType":    {withHeader(events.HeaderType, "payments.conjured"), events.ErrUnknownType},
		"FutureVersion":  {withHeader(events.HeaderVersion, "2"), events.ErrUnknownVersion},
		"VersionZero":    {withHeader(events.HeaderVersion, "0"), events.ErrUnknownVersion},
		"NotJSON":        {withBody("garbage"), events.ErrBadPayload},
		"Empty":          {withBody(""), events.ErrBadPayload},
		"WrongType":      {withBody(`{"order_id":7}`), events.ErrBadPayload},
		"Array":          {withBody(`[]`), events.ErrBadPayload},
		"DuplicateField": {withBody(`{"order_id":"a","order_id":"b"}`), events.ErrBadPayload},
		"TwoDocuments":   {withBody(`{} {}`), events.ErrBadPayload},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg := encode(t, sampleEvent())
			c.change(msg)
			e, err := events.Decode(msg.Subject, msg.Header, msg.Data)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if e.Subject != "payments.order-1" || e.Payload != nil {
				t.Errorf("got envelope %+v, want the subject and no payload", e)
			}
		})
	}
}

func withHeader(header, value string) func(*nats.Msg) {
	return func(m *nats.Msg) { m.Header[header] = []string{value} }
}

func withBody(text string) func(*nats.Msg) { return func(m *nats.Msg) { m.Data = []byte(text) } }

type undefined struct{}

func (undefined) EventType() string { return "test.undefined" }

func TestEncodeRefusesAnUndefinedType(t *testing.T) {
	t.Parallel()
	if _, err := events.Encode(events.Event{Payload: undefined{}}); !errors.Is(err, events.ErrUnknownType) {
		t.Errorf("got %v, want ErrUnknownType", err)
	}
}
