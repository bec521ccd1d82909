package events_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// giftWrapped is an event that only the next release knows.
type giftWrapped struct {
	Paper string `json:"paper"`
}

func (giftWrapped) EventType() string { return "test.gift_wrapped" }

// gifts is an entity that both releases know.
var gifts = eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// currentRelease and nextRelease set the topology of a release. The next one adds a subject, a stream setting and a bucket.
func currentRelease(c *eventlog.Config) {
	topology := eventlog.CurrentTopology(1)
	topology.Version = 1
	c.Topology = &topology
}

func nextRelease(c *eventlog.Config) {
	currentRelease(c)
	c.Topology.Version = 2
	c.Topology.Streams[0].Subjects = append(c.Topology.Streams[0].Subjects, "gifts.*")
	c.Topology.Streams[0].AllowMsgTTL = true
	c.Topology.Buckets = append(c.Topology.Buckets, jetstream.KeyValueConfig{Bucket: "gifts"})
}

func appendGift(t *testing.T, l *eventlog.Log, id string) error {
	t.Helper()
	return l.Do(t.Context(), func(tx *eventlog.Tx) error { return gifts.Append(tx, id, giftWrapped{Paper: "red"}) })
}

func place(t *testing.T, l *eventlog.Log, id string) {
	t.Helper()
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return gifts.Append(tx, id, events.OrderExpired{}) }); err != nil {
		t.Errorf("append to %s: %v", id, err)
	}
}

// tryOpen opens a log as a release.
func tryOpen(t *testing.T, server *embedded.NATS, release func(*eventlog.Config)) (*eventlog.Log, error) {
	t.Helper()
	config := eventlog.Config{Source: "test", Owns: []string{""}}
	release(&config)
	return eventlog.Open(t.Context(), logtest.Connect(t, server), config)
}

func subjects(t *testing.T, l *eventlog.Log) []string {
	t.Helper()
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config.Subjects
}

// Row 60 of the fault matrix: two releases run at the same time. The newer one adds its subjects and buckets at once, and writes
// new events only after the older one has stopped; from then on the older one does not start.
func TestANewEventIsWrittenAfterTheOlderReleaseHasStopped(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	older := logtest.OpenOn(t, server, currentRelease)
	newer := logtest.OpenOn(t, server, nextRelease)
	if !slices.Contains(subjects(t, newer), "gifts.*") {
		t.Errorf("subjects: got %v, want gifts.* among them", subjects(t, newer))
	}
	if _, err := newer.JetStream().KeyValue(t.Context(), "gifts"); err != nil {
		t.Errorf("bucket gifts: %v", err)
	}
	for _, l := range []*eventlog.Log{older, newer} {
		place(t, l, "order")
	}
	if err := appendGift(t, newer, "order"); !errors.Is(err, eventlog.ErrUpgradeInProgress) || !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("append an event that the older release does not know: got %v, want ErrUpgradeInProgress and ErrUnavailable", err)
	}
	place(t, older, "order")
	older.Close()
	waitUntil(t, "the event can be written", func() bool { return appendGift(t, newer, "order") == nil })
	if n, _, err := gifts.Read(t.Context(), newer, "order"); err != nil || n != 4 {
		t.Errorf("got %d events, %v; want 4", n, err)
	}
	_, err := tryOpen(t, server, currentRelease)
	if !errors.Is(err, events.ErrNewer) || !strings.Contains(err.Error(), "topology 2, this program knows 1") {
		t.Errorf("open as the older release: got %v, want ErrNewer with both topologies", err)
	}
	if again, err := tryOpen(t, server, nextRelease); err != nil {
		t.Errorf("open as the newer release: %v", err)
	} else {
		place(t, again, "order")
		if err := appendGift(t, again, "order"); err != nil {
			t.Errorf("append a new event again: %v", err)
		}
		again.Close()
	}
}

// Row 60 of the fault matrix: a release is rolled back before it has written a new event. Its subjects and buckets stay, and the
// older release continues.
func TestAReleaseCanBeRolledBackBeforeItsFirstNewEvent(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	logtest.OpenOn(t, server, currentRelease).Close()
	newer := logtest.OpenOn(t, server, nextRelease)
	place(t, newer, "order")
	newer.Close()
	older := logtest.OpenOn(t, server, currentRelease)
	place(t, older, "order")
	if !slices.Contains(subjects(t, older), "gifts.*") {
		t.Errorf("subjects: got %v, want gifts.* among them", subjects(t, older))
	}
	if again := logtest.OpenOn(t, server, nextRelease); !errors.Is(appendGift(t, again, "order"), eventlog.ErrUpgradeInProgress) {
		t.Error("append a new event while the older release runs: want ErrUpgradeInProgress")
	}
}

// Row 60 of the fault matrix: a process that was suspended while a newer release began to write reads an event that it does not
// know. It decides nothing and reports ErrNewer, until the event is declared void.
func TestAnOlderProcessDecidesNothingAfterANewerEvent(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	older, ops := logtest.OpenOn(t, server, currentRelease), logtest.OpenOn(t, server, nextRelease)
	place(t, older, "order")
	msg, err := events.Encode(events.Event{ID: "gift", Source: "test", Time: time.Now(), Subject: events.PrefixOrder + "order", Revision: 2, Payload: giftWrapped{}})
	if err != nil {
		t.Fatal(err)
	}
	ack, err := older.JetStream().PublishMsg(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = gifts.Read(t.Context(), older, "order")
	if !errors.Is(err, events.ErrNewer) || !errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrUnreadable) {
		t.Errorf("read as the older release: got %v, want ErrNewer and ErrUnavailable", err)
	}
	if n, _, err := gifts.Read(t.Context(), ops, "order"); err != nil || n != 2 {
		t.Errorf("read as the newer release: got %d events, %v; want 2", n, err)
	}
	m, err := older.Get(t.Context(), ack.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if err := older.ReportNewer(m); !errors.Is(err, events.ErrNewer) || older.Damage() == nil || older.Newer() == nil {
		t.Errorf("got report %v, damage %v, newer %v; want errors", err, older.Damage(), older.Newer())
	}
	err = older.Do(t.Context(), func(tx *eventlog.Tx) error { return gifts.Append(tx, "another", events.OrderExpired{}) })
	if !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("append: got %v, want ErrUnavailable", err)
	}
	for _, already := range []bool{false, true} {
		if got, err := eventlog.Void(t.Context(), ops, m, events.Author{Actor: "key:ops", Reason: "a test"}); err != nil || got != already {
			t.Errorf("void: got already %t, %v; want %t", got, err, already)
		}
	}
	end, err := ops.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	void, err := older.Get(t.Context(), end)
	if err != nil {
		t.Fatal(err)
	}
	older.Observe(void)
	if err := errors.Join(older.Damage(), older.Newer(), older.ReportNewer(m)); err != nil {
		t.Errorf("after the event was voided: got %v, want no error", err)
	}
	for _, l := range []*eventlog.Log{older, ops, logtest.OpenOn(t, server, currentRelease)} {
		if n, _, err := gifts.Read(t.Context(), l, "order"); err != nil || n != 1 {
			t.Errorf("after the event was voided: got %d events, %v; want 1", n, err)
		}
	}
	place(t, older, "order")
}

// Row 60 of the fault matrix: the announcement of a process has expired, because it was suspended or disconnected, and a newer
// release has begun to write. The process ends at its next announcement.
func TestAnOlderProcessEndsWhenANewerReleaseHasWritten(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	older, newer := logtest.OpenOn(t, server, currentRelease), logtest.OpenOn(t, server, nextRelease)
	ended := make(chan error, 1)
	go func() { ended <- older.Monitor(t.Context()) }()
	bucket, err := newer.JetStream().KeyValue(t.Context(), "topology")
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the newer release writes", func() bool {
		processes, err := newer.Processes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range processes {
			if p.Topology == 1 {
				if err := bucket.Delete(t.Context(), "process."+p.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		return appendGift(t, newer, "order") == nil
	})
	select {
	case err := <-ended:
		if !errors.Is(err, events.ErrNewer) {
			t.Errorf("end of the process: got %v, want ErrNewer", err)
		}
	case <-time.After(time.Minute):
		t.Error("after 1 min: the process has not ended")
	}
}

// A lane reads a newer event while the process reads that it is void. The process continues, whichever is first.
func TestANewerEventIsDeclaredVoidWhileItIsRead(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t, currentRelease)
	newer, err := events.Encode(events.Event{ID: "gift", Source: "test", Time: time.Now(), Subject: "orders.o", Revision: 2, Payload: giftWrapped{}})
	if err != nil {
		t.Fatal(err)
	}
	for sequence := range uint64(20_000) {
		void, err := events.Encode(events.Event{ID: "void", Source: "ops", Time: time.Now(), Subject: fmt.Sprintf("%s%d", events.PrefixVoid, sequence), Revision: 1,
			Payload: events.EventVoided{Sequence: sequence, Subject: "orders.o", Reason: "a test"}})
		if err != nil {
			t.Fatal(err)
		}
		read := l.Adopt(eventlog.Message{Sequence: sequence, Subject: newer.Subject, Header: newer.Header, Data: newer.Data})
		declared := l.Adopt(eventlog.Message{Sequence: sequence + 1_000_000, Subject: void.Subject, Header: void.Header, Data: void.Data})
		var both sync.WaitGroup
		both.Go(func() { _ = l.ReportNewer(read) }) // an error is correct if the void was not read yet
		both.Go(func() { l.Observe(declared) })
		both.Wait()
		if err := l.Damage(); err != nil {
			t.Fatalf("event %d: %v", sequence, err)
		}
	}
}

// An event is published with a revision that exists or that leaves a gap, by a faulty release or by hand. The entity is
// unreadable until the event is declared void, and then continues without it.
func TestAnEventWithAWrongRevisionCanBeDeclaredVoid(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "order")
	for _, revision := range []uint64{1, 9} {
		msg, err := events.Encode(events.Event{ID: "stray", Source: "test", Time: time.Now(), Subject: events.PrefixOrder + "order", Revision: revision, Payload: events.OrderExpired{}})
		if err != nil {
			t.Fatal(err)
		}
		ack, err := l.JetStream().PublishMsg(t.Context(), msg)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := gifts.Read(t.Context(), l, "order"); !errors.Is(err, eventlog.ErrUnreadable) {
			t.Errorf("revision %d: got %v, want ErrUnreadable", revision, err)
		}
		m, err := l.Get(t.Context(), ack.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := eventlog.Void(t.Context(), l, m, events.Author{Actor: "key:ops", Reason: "published by hand"}); err != nil {
			t.Fatal(err)
		}
		place(t, l, "order")
	}
	if n, _, err := gifts.Read(t.Context(), logtest.OpenOver(t, l.JetStream().Conn()), "order"); err != nil || n != 3 {
		t.Errorf("got %d events, %v; want 3", n, err)
	}
}

// A broker that was killed may restore the announcement of a process that has ended. Such an announcement expires, so it does
// not block an upgrade.
func TestAnAnnouncementExpires(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	if _, err := l.JetStream().Publish(t.Context(), "$KV.topology.process.ghost", []byte(`{"id":"ghost","source":"closed","topology":0}`)); err != nil {
		t.Fatal(err)
	}
	running := func() int {
		processes, err := l.Processes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(processes)
	}
	if n := running(); n != 2 {
		t.Errorf("at first: got %d processes, want 2", n)
	}
	waitUntil(t, "only the log of the test is announced", func() bool { return running() == 1 })
}

// Open refuses a stream whose configuration is not that of any release, and names the differences.
func TestOpenRefusesAStreamWithAnotherConfiguration(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server, currentRelease)
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects, config.Discard = append(config.Subjects, "foreign.*"), jetstream.DiscardOld
	if _, err := l.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for name, release := range map[string]func(*eventlog.Config){"current": currentRelease, "next": nextRelease} {
		_, err := tryOpen(t, server, release)
		if !errors.Is(err, eventlog.ErrDrift) || !strings.Contains(err.Error(), "foreign.*") || !strings.Contains(err.Error(), `discard is "old"`) {
			t.Errorf("%s release: got %v, want ErrDrift that names both differences", name, err)
		}
	}
}

func waitUntil(t *testing.T, want string, condition func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not within 1 min: %s", want)
		}
	}
}
