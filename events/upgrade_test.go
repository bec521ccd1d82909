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
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// giftWrapped is an event that the next release knows and this one does not.
type giftWrapped struct {
	Paper string `json:"paper"`
}

func (giftWrapped) EventType() string { return "test.gift_wrapped" }

// gifts is an entity of both releases.
var gifts = log.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// this and next are what two releases know. The next one has a subject, a setting and a bucket more.
func this(c *log.Config) {
	topology := log.CurrentTopology(1)
	topology.Version = 1
	c.Topology = &topology
}

func next(c *log.Config) {
	this(c)
	c.Topology.Version = 2
	c.Topology.Streams[0].Subjects = append(c.Topology.Streams[0].Subjects, "gifts.*")
	c.Topology.Streams[0].AllowMsgTTL = true
	c.Topology.Buckets = append(c.Topology.Buckets, jetstream.KeyValueConfig{Bucket: "gifts"})
}

func wrap(t *testing.T, l *log.Log, id string) error {
	t.Helper()
	return l.Do(t.Context(), func(tx *log.Tx) error { return gifts.Append(tx, id, giftWrapped{Paper: "red"}) })
}

func place(t *testing.T, l *log.Log, id string) {
	t.Helper()
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return gifts.Append(tx, id, events.OrderExpired{}) }); err != nil {
		t.Errorf("%s: %v", id, err)
	}
}

// open tries to open a log as a release, and returns what kept it from it.
func open(t *testing.T, server *embedded.NATS, release func(*log.Config)) (*log.Log, error) {
	t.Helper()
	config := log.Config{Source: "test", Owns: []string{""}}
	release(&config)
	return log.Open(t.Context(), logtest.Connect(t, server), config)
}

func subjects(t *testing.T, l *log.Log) []string {
	t.Helper()
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config.Subjects
}

// Row 60 of the fault matrix: two releases run side by side. The newer one adds what it needs while the older one works on, and writes what the older one
// does not know once that has stopped; from then on the older one does not start.
func TestTwoReleasesSideBySide(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	older := logtest.OpenOn(t, server, this)
	newer := logtest.OpenOn(t, server, next)
	if !slices.Contains(subjects(t, newer), "gifts.*") {
		t.Errorf("the new subject is not among %v", subjects(t, newer))
	}
	if _, err := newer.JetStream().KeyValue(t.Context(), "gifts"); err != nil {
		t.Errorf("the new bucket: %v", err)
	}
	for _, l := range []*log.Log{older, newer} {
		place(t, l, "order")
	}
	if err := wrap(t, newer, "order"); !errors.Is(err, log.ErrUpgradeInProgress) || !errors.Is(err, log.ErrUnavailable) {
		t.Errorf("an event that the older release does not know: %v, want ErrNotYet and ErrUnavailable", err)
	}
	place(t, older, "order")
	older.Close()
	until(t, "the event may be written", func() bool { return wrap(t, newer, "order") == nil })
	if n, _, err := gifts.Read(t.Context(), newer, "order"); err != nil || n != 4 {
		t.Errorf("the order has %d events, %v; want 4", n, err)
	}
	_, err := open(t, server, this)
	if !errors.Is(err, events.ErrNewer) || !strings.Contains(err.Error(), "topology 2, this program knows 1") {
		t.Errorf("the older release starts with %v, want ErrNewer and why", err)
	}
	if again, err := open(t, server, next); err != nil {
		t.Errorf("the newer release starts with %v", err)
	} else {
		place(t, again, "order")
		if err := wrap(t, again, "order"); err != nil {
			t.Errorf("where everything was agreed on: %v", err)
		}
		again.Close()
	}
}

// Row 60 of the fault matrix: a release is taken back before it has written what only it knows. What it added stays, and the older one works on.
func TestAReleaseIsTakenBack(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	logtest.OpenOn(t, server, this).Close()
	newer := logtest.OpenOn(t, server, next)
	place(t, newer, "order")
	newer.Close()
	older := logtest.OpenOn(t, server, this)
	place(t, older, "order")
	if !slices.Contains(subjects(t, older), "gifts.*") {
		t.Errorf("what the newer release added is gone: %v", subjects(t, older))
	}
	if again := logtest.OpenOn(t, server, next); !errors.Is(wrap(t, again, "order"), log.ErrUpgradeInProgress) {
		t.Error("the newer release does not see that the older one runs")
	}
}

// Row 60 of the fault matrix: a process that was suspended while a newer release began to write meets an event that it does not understand. It decides
// nothing on what it knows, and says why, until the event is declared void.
func TestAnOlderProcessMeetsANewerEvent(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	older, ops := logtest.OpenOn(t, server, this), logtest.OpenOn(t, server, next)
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
	if !errors.Is(err, events.ErrNewer) || !errors.Is(err, log.ErrUnavailable) || errors.Is(err, log.ErrUnreadable) {
		t.Errorf("read: %v, want ErrNewer and ErrUnavailable", err)
	}
	if n, _, err := gifts.Read(t.Context(), ops, "order"); err != nil || n != 2 {
		t.Errorf("the newer release reads %d events, %v; want 2", n, err)
	}
	m, err := older.Get(t.Context(), ack.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if err := older.ReportNewer(m); !errors.Is(err, events.ErrNewer) || older.Damage() == nil || older.Newer() == nil {
		t.Errorf("the event is read: %v, and then the process is whole: %v", err, older.Damage())
	}
	err = older.Do(t.Context(), func(tx *log.Tx) error { return gifts.Append(tx, "another", events.OrderExpired{}) })
	if !errors.Is(err, log.ErrUnavailable) {
		t.Errorf("it still appends: %v", err)
	}
	for _, already := range []bool{false, true} {
		if got, err := log.Void(t.Context(), ops, m, "nobody can read it"); err != nil || got != already {
			t.Errorf("void: already %t, %v; want %t", got, err, already)
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
		t.Errorf("after the event was declared void: %v", err)
	}
	for _, l := range []*log.Log{older, ops, logtest.OpenOn(t, server, this)} {
		if n, _, err := gifts.Read(t.Context(), l, "order"); err != nil || n != 1 {
			t.Errorf("after the event was declared void the order has %d events, %v; want 1", n, err)
		}
	}
	place(t, older, "order")
}

// Row 60 of the fault matrix: a process whose announcement ran out, because it was suspended or cut off, is not there for a newer release, which begins to write.
// At its next announcement it finds out, and ends.
func TestAProcessThatKnowsTooLittleEnds(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	older, newer := logtest.OpenOn(t, server, this), logtest.OpenOn(t, server, next)
	ended := make(chan error, 1)
	go func() { ended <- older.Monitor(t.Context()) }()
	bucket, err := newer.JetStream().KeyValue(t.Context(), "topology")
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the newer release writes", func() bool {
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
		return wrap(t, newer, "order") == nil
	})
	select {
	case err := <-ended:
		if !errors.Is(err, events.ErrNewer) {
			t.Errorf("it ends with %v, want ErrNewer", err)
		}
	case <-time.After(time.Minute):
		t.Error("it goes on")
	}
}

// A lane meets a newer event at the moment at which the process learns that it is void. Whichever comes first, the process goes on.
func TestANewerEventIsDeclaredVoidWhileItIsMet(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t, this)
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
		met := l.Adopt(log.Message{Sequence: sequence, Subject: newer.Subject, Header: newer.Header, Data: newer.Data})
		declared := l.Adopt(log.Message{Sequence: sequence + 1_000_000, Subject: void.Subject, Header: void.Header, Data: void.Data})
		var both sync.WaitGroup
		both.Go(func() { _ = l.ReportNewer(met) }) // either is right at that moment
		both.Go(func() { l.Observe(declared) })
		both.Wait()
		if err := l.Damage(); err != nil {
			t.Fatalf("event %d: %v", sequence, err)
		}
	}
}

// A faulty release, or an operator by hand, publishes an event again whose number is taken, or one whose number does not follow. The
// entity is unavailable until the event is declared void, and goes on as if it had never been there.
func TestAnEventThatDoesNotFollowIsDeclaredVoid(t *testing.T) {
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
		if _, _, err := gifts.Read(t.Context(), l, "order"); !errors.Is(err, log.ErrUnreadable) {
			t.Errorf("revision %d: %v, want ErrUnreadable", revision, err)
		}
		m, err := l.Get(t.Context(), ack.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Void(t.Context(), l, m, "published by hand"); err != nil {
			t.Fatal(err)
		}
		place(t, l, "order")
	}
	if n, _, err := gifts.Read(t.Context(), logtest.OpenOver(t, l.JetStream().Conn()), "order"); err != nil || n != 3 {
		t.Errorf("the order has %d events, %v; want 3", n, err)
	}
}

// A broker that was killed may have the announcement of a process back that has left. It does not count, and keeps no release from
// being put in place.
func TestAnAnnouncementThatNobodyRenewsDoesNotCount(t *testing.T) {
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
		t.Errorf("%d processes at first, want 2", n)
	}
	until(t, "the one that nobody renews is gone", func() bool { return running() == 1 })
}

// What a stream has otherwise than any release made it is refused, and named.
func TestAStreamThatIsConfiguredOtherwiseIsRefused(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server, this)
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects, config.Discard = append(config.Subjects, "strangers.*"), jetstream.DiscardOld
	if _, err := l.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for name, release := range map[string]func(*log.Config){"this": this, "next": next} {
		_, err := open(t, server, release)
		if !errors.Is(err, log.ErrDrift) || !strings.Contains(err.Error(), "strangers.*") || !strings.Contains(err.Error(), `discard is "old"`) {
			t.Errorf("%s release: %v, want ErrDrift naming both differences", name, err)
		}
	}
}

func until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !fact() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
