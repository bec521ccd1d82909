package replay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// shop is a log to which a test appends events directly.
type shop struct {
	t      testing.TB
	server *embedded.NATS
	log    *eventlog.Log
	js     jetstream.JetStream
	age    time.Duration // of the events that append appends
	*replay.Reader
}

func newShop(t testing.TB) *shop {
	t.Helper()
	return openShop(t, logtest.Server(t))
}

// openShop opens the log of a server and a reader of it.
func openShop(t testing.TB, server *embedded.NATS) *shop {
	t.Helper()
	l, conn := logtest.OpenOn(t, server), logtest.Connect(t, server)
	reader, err := replay.Open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	return &shop{t: t, server: server, log: l, js: logtest.JetStream(t, conn), Reader: reader}
}

// append appends an event, which need not be valid for its entity.
func (s *shop) append(id, subject, order, cause string, fact events.Payload) {
	s.t.Helper()
	msg, err := events.Encode(events.Event{ID: id, Source: "test", Time: time.Now().Add(-s.age), Subject: subject, Revision: s.revision(subject) + 1,
		CorrelationID: order, CausationID: cause, Payload: fact})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.js.PublishMsg(s.t.Context(), msg); err != nil {
		s.t.Fatal(err)
	}
}

// revision returns the number of events of an entity.
func (s *shop) revision(subject string) uint64 {
	s.t.Helper()
	last, err := s.Newest(s.t.Context(), subject)
	if errors.Is(err, replay.ErrNotFound) {
		return 0
	}
	if err != nil {
		s.t.Fatal(err)
	}
	e, err := events.DecodeEnvelope(last.Subject, last.Header)
	if err != nil { // not an event
		return 0
	}
	return e.Revision
}

// lane returns a lane, the zero Lane when it does not exist.
func (s *shop) lane(name string) replay.Lane {
	s.t.Helper()
	lanes, err := s.Lanes(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, l := range lanes {
		if l.Name == name {
			return l
		}
	}
	return replay.Lane{}
}

// work runs a worker until ctx ends.
func (s *shop) work(ctx context.Context, config worker.Config) (done <-chan error) {
	s.t.Helper()
	_, done = s.begin(ctx, s.log, config)
	return done
}

// begin starts a worker, which runs until ctx ends.
func (s *shop) begin(ctx context.Context, l *eventlog.Log, config worker.Config) (*worker.Worker, <-chan error) {
	s.t.Helper()
	w, err := worker.New(ctx, l, config)
	if err != nil {
		s.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return w, done
}

// await polls until a condition holds.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for ticker := time.NewTicker(20 * time.Millisecond); !holds(); {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("the condition does not hold after 30 s")
		}
	}
}

// replaceLog replaces the log by an empty one that permits deletion, which the log of a shop denies.
func (s *shop) replaceLog() {
	s.t.Helper()
	config := eventlog.Streams(1)[0]
	config.DenyDelete = false
	if err := s.js.DeleteStream(s.t.Context(), config.Name); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.js.CreateStream(s.t.Context(), config); err != nil {
		s.t.Fatal(err)
	}
}

// deleteMessages damages the log.
func (s *shop) deleteMessages(missing ...uint64) {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), events.StreamShop)
	if err != nil {
		s.t.Fatal(err)
	}
	if stream.CachedInfo().Config.DenyDelete { // every start turns it on again
		stream = s.permitDeletion()
	}
	for _, sequence := range missing {
		if err := stream.SecureDeleteMsg(s.t.Context(), sequence); err != nil {
			s.t.Fatal(err)
		}
	}
}

// permitDeletion replaces the log by a copy that permits deletion.
func (s *shop) permitDeletion() jetstream.Stream {
	s.t.Helper()
	var all []*nats.Msg
	err := s.Each(s.t.Context(), replay.Range{}, func(m replay.Message) error {
		all = append(all, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.replaceLog()
	for _, m := range all {
		for _, expectation := range []string{jetstream.ExpectedLastSeqHeader, jetstream.ExpectedLastSubjSeqHeader} {
			m.Header.Del(expectation)
		}
		if _, err := s.js.PublishMsg(s.t.Context(), m); err != nil {
			s.t.Fatal(err)
		}
	}
	stream, err := s.js.Stream(s.t.Context(), events.StreamShop)
	if err != nil {
		s.t.Fatal(err)
	}
	return stream
}

// damagedLog writes a log of that many messages and deletes some of them.
func (s *shop) damagedLog(size int, missing ...uint64) {
	s.t.Helper()
	s.replaceLog()
	for i := range size {
		s.append(fmt.Sprint(i+1), "orders.o1", "", "", events.OrderExpired{})
	}
	s.deleteMessages(missing...)
}

// watcher runs a lane that sends the id of every expired order, until it is stopped.
func (s *shop) watcher(handled chan<- string) (*worker.Worker, func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	l := logtest.OpenOn(s.t, s.server)
	routes := []worker.Route{worker.On(func(_ *eventlog.Tx, e events.Event, _ events.OrderExpired) error { handled <- e.ID; return nil })}
	w, done := s.begin(ctx, l, worker.Config{Domains: []worker.Domain{{Name: "watcher", Log: l, Routes: routes}}})
	return w, func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
}

func (s *shop) letters(t testing.TB) []replay.DeadLetter {
	t.Helper()
	letters, err := s.DeadLetters(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

// stored returns the time at which a message was stored.
func stored(t *testing.T, s *shop, sequence uint64) time.Time {
	t.Helper()
	m, err := s.Get(t.Context(), sequence)
	if err != nil {
		t.Fatal(err)
	}
	return m.Stored
}
