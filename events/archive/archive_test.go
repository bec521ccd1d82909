package archive_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
)

// Append accepts a batch that begins after the head, skips messages that are archived, and refuses a batch that begins later: the
// messages in between would never be archived.
func TestAppendRefusesGapBeforeBatch(t *testing.T) {
	t.Parallel()
	db := projecttest.Database(t)
	a := archive.New(db)
	for _, c := range []struct {
		first, last uint64
		refused     bool
		head        uint64 // afterwards
	}{
		{first: 2, last: 3, refused: true, head: 0},
		{first: 1, last: 3, head: 3},
		{first: 5, last: 6, refused: true, head: 3},
		{first: 1, last: 3, head: 3},
		{first: 2, last: 4, head: 4},
		{first: 5, last: 2504, head: 2504}, // several chunks
	} {
		if err := a.Append(t.Context(), made(c.first, c.last)); errors.Is(err, archive.ErrNotContiguous) != c.refused || err != nil && !c.refused {
			t.Errorf("append %d to %d: got %v, want refused %v", c.first, c.last, err, c.refused)
		}
		want := archive.Head{}
		if c.head > 0 {
			want = archive.Head{ID: "head", Last: c.head, EventID: fmt.Sprintf("event-%d", c.head)}
		}
		if got := head(t, db); got != want {
			t.Errorf("head after %d to %d: got %+v, want %+v", c.first, c.last, got, want)
		}
		if diff := cmp.Diff(made(1, c.head), projecttest.Archived(t, a)); diff != "" {
			t.Errorf("archive after %d to %d (-want +got):\n%s", c.first, c.last, diff)
		}
	}
}

// A batch with a gap inside is archived up to the gap.
func TestAppendRefusesGapInsideBatch(t *testing.T) {
	t.Parallel()
	a := archive.New(projecttest.Database(t))
	if err := a.Append(t.Context(), append(made(1, 3), made(5, 6)...)); !errors.Is(err, archive.ErrNotContiguous) {
		t.Errorf("append without 4: got %v, want %v", err, archive.ErrNotContiguous)
	}
	if err := a.Append(t.Context(), made(1, 6)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made(1, 6), projecttest.Archived(t, a)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
}

// failWrite has a process archive three messages, and then refuses its next write of a kind.
func failWrite(t *testing.T, command string) (first *process, l *eventlog.Log, db *mongo.Database, successor func() *process, m *projecttest.Member) {
	t.Helper()
	server := logtest.Server(t)
	m = projecttest.NewMember(t)
	l, db = logtest.OpenOn(t, server), m.Database(t, "?directConnection=true")
	first = start(t, l, db)
	adjust(t, l, 3)
	first.await(t)
	m.StepDownDuring(projecttest.Write{Command: command, Collection: archive.Collection}, projecttest.NotPrimary)
	adjust(t, l, 2)
	projecttest.Await(t, "the write is refused", func() bool { return first.problem() != nil })
	return first, l, db, func() *process { return start(t, logtest.OpenOn(t, server), db) }, m
}

// Row 69 of the fault matrix: a write fails, more messages arrive, and the process is stopped before the database accepts a write
// again. Its successor leaves no gap.
func TestFailedWriteAndStopLeaveNoGap(t *testing.T) {
	t.Parallel()
	first, l, db, successor, m := failWrite(t, "insert")
	adjust(t, l, 4)
	first.Terminate()
	m.Elect() // later writes of the stopping lane succeed
	first.Stop()
	got := projecttest.Archived(t, archive.New(db))
	if len(got) != 3 && len(got) != 5 || got[len(got)-1].Sequence != uint64(len(got)) {
		t.Errorf("archived when the process had stopped: got %d messages up to %d, want 3 or 5", len(got), got[len(got)-1].Sequence)
	}
	second := successor()
	adjust(t, l, 1)
	second.await(t)
	projecttest.CheckArchive(t, l, db)
}

// A process is killed between chunk and head. Its successor, which gathers other batches, leaves no gap and archives no message
// twice.
func TestChunkWithoutHeadIsTakenOver(t *testing.T) {
	t.Parallel()
	first, l, db, successor, m := failWrite(t, "update")
	first.Stop()
	m.Elect()
	if h, n := head(t, db), len(projecttest.Archived(t, archive.New(db))); h.Last != 3 || n != 5 {
		t.Fatalf("after the kill: got head %d and %d messages, want 3 and 5", h.Last, n)
	}
	adjust(t, l, 4)
	successor().await(t)
	projecttest.CheckArchive(t, l, db)
}

// headsOf archives messages in several batches, and returns the head after each.
func headsOf(t *testing.T, shop *process, db *mongo.Database, batches, size int) (heads []archive.Head) {
	t.Helper()
	for range batches {
		for range size {
			adjust(t, shop.log, 1)
		}
		shop.await(t)
		heads = append(heads, head(t, db))
	}
	return heads
}

// A process that was killed before it wrote the head leaves an old one. Messages that are then read again in other batches are
// neither doubled nor hidden.
func TestArchiveContinuesFromOldHead(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, db := logtest.OpenOn(t, server), projecttest.Database(t)
	shop := start(t, l, db)
	for _, h := range append(headsOf(t, shop, db, 3, 7), archive.Head{}) {
		shop.Stop()
		if _, err := db.Collection(archive.Collection).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "head"}}); err != nil {
			t.Fatal(err)
		}
		if h.ID != "" {
			if err := archive.New(db).PutHead(t.Context(), h); err != nil {
				t.Fatal(err)
			}
		}
		adjust(t, l, 1)
		shop = start(t, logtest.OpenOn(t, server), db)
		shop.await(t)
		projecttest.CheckArchive(t, l, db)
	}
}

// A process that lost its lease while it was suspended moves the head back to its own position. Its successor continues without a
// restart.
func TestHeadThatWasMovedBackAdvancesAgain(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	for _, h := range headsOf(t, shop, db, 4, 3) {
		if err := archive.New(db).PutHead(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		adjust(t, l, 1)
		shop.await(t)
		projecttest.CheckArchive(t, l, db)
	}
}

// Several writers with different batches, as after a lease was lost unnoticed, produce the same archive, with no message in two
// chunks.
func TestConcurrentWritersArchiveEachMessageOnce(t *testing.T) {
	t.Parallel()
	const size = 300
	db, want := projecttest.Database(t), made(1, size)
	var writers sync.WaitGroup
	for writer := range 3 {
		writers.Go(func() {
			a, random := archive.New(db), rand.New(rand.NewPCG(1, uint64(writer)))
			for {
				h, err := a.Head(t.Context())
				if err == nil && h.Last == size {
					return
				}
				if err == nil {
					err = a.Append(t.Context(), want[h.Last:min(size, h.Last+1+random.Uint64N(10))])
				}
				if err != nil && !errors.Is(err, archive.ErrNotContiguous) && !mongo.IsDuplicateKeyError(err) { // another writer moved the head
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	if diff := cmp.Diff(want, projecttest.Archived(t, archive.New(db))); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	projecttest.CheckChunks(t, db)
}

// The database is dropped, or replaced by an older backup, while the lane runs: it archives the missing messages again without a
// restart.
func TestReplacedArchiveIsCompleted(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]uint64{"Dropped": 0, "OlderBackup": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, db := logtest.Open(t), projecttest.Database(t)
			shop := start(t, l, db)
			adjust(t, l, 9)
			shop.await(t)
			if err := db.Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if kept > 0 {
				if err := archive.New(db).Append(t.Context(), projecttest.Messages(t, l)[:kept]); err != nil {
					t.Fatal(err)
				}
			}
			adjust(t, l, 2)
			shop.await(t)
			projecttest.CheckArchive(t, l, db)
		})
	}
}

func TestArchiveKeepsBinaryBodiesAndHeaders(t *testing.T) {
	t.Parallel()
	a := archive.New(projecttest.Database(t))
	now := time.Now().UTC().Round(0)
	message := func(sequence uint64, subject string, headers nats.Header, body string) archive.Archived {
		return archive.From(eventlog.Message{Sequence: sequence, Stored: now, Subject: subject, Header: headers, Data: []byte(body)})
	}
	want := []archive.Archived{
		message(3, "inventory.stock.main.A", nats.Header{"ce-id": {"1"}, "Two": {"a", "b"}}, `{"quantity": 1}`),
		message(4, "inventory.stock.main.A", nats.Header{}, "\xff\x00\x80"),
		message(9, "inventory.stock.main.B", nats.Header{"ce-id": {"3"}}, "a\x00\u2028<\n"),
	}
	for range 2 { // Restore is idempotent
		if err := a.Restore(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	got := projecttest.Archived(t, a)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	if got, want := string(got[1].Body()), "\xff\x00\x80"; got != want {
		t.Errorf("body: got %q, want %q", got, want)
	}
	stop := errors.New("stop")
	err := a.Each(t.Context(), 4, func(a archive.Archived) error {
		if a.Sequence != 4 {
			t.Errorf("first sequence: got %d, want 4", a.Sequence)
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("each: got %v, want %v", err, stop)
	}
}

// Messages returns a range of sequences across chunks and omits what the archive lacks.
func TestMessagesReturnsRange(t *testing.T) {
	t.Parallel()
	a := archive.New(projecttest.Database(t))
	archiveTen(t, a)
	if err := a.Restore(t.Context(), made(13, 14)); err != nil { // after a gap
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, first, last uint64 }{
		{1, 10, 1, 10}, {2, 2, 2, 2}, {3, 5, 3, 5}, {0, 1, 1, 1}, {9, 12, 9, 10}, {11, 12, 1, 0}, {11, 13, 13, 13}, {15, 20, 1, 0}, {6, 5, 1, 0},
	} {
		got, err := a.Messages(t.Context(), c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		var want []eventlog.Message
		for _, m := range made(c.first, c.last) {
			want = append(want, m.Message())
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(eventlog.Message{})); diff != "" {
			t.Errorf("messages %d to %d (-want +got):\n%s", c.from, c.to, diff)
		}
	}
}
