package archive_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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

// A batch is taken where the archive ends. One that begins later is refused, for what it leaves out would never be archived;
// what is archived already is passed over.
func TestABatchThatDoesNotFollowIsRefused(t *testing.T) {
	t.Parallel()
	a := archive.New(projecttest.Database(t))
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
			t.Errorf("%d to %d behind %d: %v", c.first, c.last, c.head, err)
		}
		head, err := a.Head(t.Context())
		want := archive.Head{}
		if c.head > 0 {
			want = archive.Head{ID: "head", Last: c.head, EventID: fmt.Sprintf("event-%d", c.head)}
		}
		if err != nil || head != want {
			t.Errorf("head %+v after %d to %d, want %+v (%v)", head, c.first, c.last, want, err)
		}
		if diff := cmp.Diff(made(1, c.head), archived(t, a, 0)); diff != "" {
			t.Errorf("after %d to %d: %s", c.first, c.last, diff)
		}
	}
}

// A batch with a hole in it is archived up to the hole.
func TestABatchWithAHoleIsRefused(t *testing.T) {
	t.Parallel()
	a := archive.New(projecttest.Database(t))
	if err := a.Append(t.Context(), append(made(1, 3), made(5, 6)...)); !errors.Is(err, archive.ErrNotContiguous) {
		t.Errorf("a batch without 4: %v", err)
	}
	if err := a.Append(t.Context(), made(1, 6)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made(1, 6), archived(t, a, 0)); diff != "" {
		t.Error(diff)
	}
}

// Row 69 of the fault matrix: a write fails, more messages arrive, and the process is stopped before the database takes
// anything again. Its successor leaves no gap.
func TestAWriteThatFailsAndAStopLeaveNoGap(t *testing.T) {
	t.Parallel()
	server, m := logtest.Server(t), projecttest.NewMember(t)
	l, db := logtest.OpenOn(t, server), m.Database(t, "?directConnection=true")
	first := start(t, l, db)
	move(t, l, 3)
	first.await(t)
	m.StepDownDuring(projecttest.Write{Command: "insert", Collection: archive.Collection}, projecttest.NotPrimary)
	move(t, l, 2)
	await(t, "the write fails", func() bool { return first.problem() != nil })
	move(t, l, 4)
	first.term()
	m.Elect() // whatever the lane still does now succeeds
	first.stop()
	if got := sequences(archived(t, archive.New(db), 0)); !slices.Equal(got, []uint64{1, 2, 3}) && !slices.Equal(got, []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("archived when the process had stopped: %d", got)
	}
	second := start(t, logtest.OpenOn(t, server), db)
	move(t, l, 1)
	second.await(t)
	archiveIsTheLog(t, l, db)
}

// A process dies between a chunk and the head. Its successor, which gathers otherwise, neither leaves a gap nor archives
// anything twice.
func TestAChunkWithoutItsHeadIsTakenOver(t *testing.T) {
	t.Parallel()
	server, m := logtest.Server(t), projecttest.NewMember(t)
	l, db := logtest.OpenOn(t, server), m.Database(t, "?directConnection=true")
	first := start(t, l, db)
	move(t, l, 3)
	first.await(t)
	m.StepDownDuring(projecttest.Write{Command: "update", Collection: archive.Collection}, projecttest.NotPrimary)
	move(t, l, 2)
	await(t, "the head is refused", func() bool { return first.problem() != nil })
	first.stop()
	m.Elect()
	if head, err := archive.New(db).Head(t.Context()); err != nil || head.Last != 3 || len(archived(t, archive.New(db), 0)) != 5 {
		t.Fatalf("this wants a chunk without a head: head %+v, %v", head, err)
	}
	move(t, l, 4)
	start(t, logtest.OpenOn(t, server), db).await(t)
	archiveIsTheLog(t, l, db)
}

// A process that died between writing a chunk and writing the head leaves a head that is too old. What is read again then,
// with other neighbours, neither doubles nor hides a message.
func TestAnArchiveWhoseHeadIsOldGoesOn(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, db := logtest.OpenOn(t, server), projecttest.Database(t)
	shop := start(t, l, db)
	var heads []archive.Head
	for range 3 {
		for range 7 {
			move(t, l, 1)
		}
		shop.await(t)
		head, err := archive.New(db).Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, head)
	}
	for _, head := range append(heads, archive.Head{}) {
		shop.stop()
		if _, err := db.Collection(archive.Collection).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "head"}}); err != nil {
			t.Fatal(err)
		}
		if head.ID != "" {
			if _, err := db.Collection(archive.Collection).InsertOne(t.Context(), head); err != nil {
				t.Fatal(err)
			}
		}
		move(t, l, 1)
		shop = start(t, logtest.OpenOn(t, server), db)
		shop.await(t)
		archiveIsTheLog(t, l, db)
	}
}

// A process that lost its lease while it was suspended puts the head back to where it had come itself. The successor goes
// on, without a restart.
func TestAHeadThatWasPutBackIsMovedOnAgain(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	var heads []archive.Head
	for range 4 {
		move(t, l, 3)
		shop.await(t)
		head, err := archive.New(db).Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, head)
	}
	for _, head := range heads {
		if err := archive.New(db).PutHead(t.Context(), head); err != nil {
			t.Fatal(err)
		}
		move(t, l, 1)
		shop.await(t)
		archiveIsTheLog(t, l, db)
	}
}

// Two processes archive at once, as when a lease was lost unnoticed, and gather differently. The archive is the log all the
// same, with nothing in it twice.
func TestTwoWritersAtOnce(t *testing.T) {
	t.Parallel()
	const size = 300
	db, want := projecttest.Database(t), made(1, size)
	var writing sync.WaitGroup
	for writer := range 3 {
		writing.Go(func() {
			a, random := archive.New(db), rand.New(rand.NewPCG(1, uint64(writer)))
			for {
				head, err := a.Head(t.Context())
				if err == nil && head.Last == size {
					return
				}
				if err == nil {
					err = a.Append(t.Context(), want[head.Last:min(size, head.Last+1+random.Uint64N(10))])
				}
				if err != nil && !errors.Is(err, archive.ErrNotContiguous) && !mongo.IsDuplicateKeyError(err) { // the head has moved: look again
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	if diff := cmp.Diff(want, archived(t, archive.New(db), 0)); diff != "" {
		t.Error(diff)
	}
	chunksFollowEachOther(t, db)
}

// The database is dropped while the archive runs, or an older backup of it is put back: everything that is missing is
// archived again, without a restart.
func TestAnArchiveThatWasReplacedIsCaughtUp(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]uint64{"Dropped": 0, "OlderBackup": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, db := logtest.Open(t), projecttest.Database(t)
			shop := start(t, l, db)
			move(t, l, 9)
			shop.await(t)
			if err := db.Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if kept > 0 {
				if err := archive.New(db).Append(t.Context(), messages(t, l)[:kept]); err != nil {
					t.Fatal(err)
				}
			}
			move(t, l, 2)
			shop.await(t)
			archiveIsTheLog(t, l, db)
		})
	}
}

// What is no text comes back as it was, and so does what was restored into a hole.
func TestTheArchiveKeepsBytes(t *testing.T) {
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
	for range 2 { // again is no harm
		if err := a.Restore(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, archived(t, a, 0)); diff != "" {
		t.Error(diff)
	}
	if got := archived(t, a, 0)[1].Body(); string(got) != "\xff\x00\x80" {
		t.Errorf("body %q", got)
	}
	stopped := errors.New("enough")
	err := a.Each(t.Context(), 4, func(a archive.Archived) error {
		if a.Sequence != 4 {
			t.Errorf("began at %d, want 4", a.Sequence)
		}
		return stopped
	})
	if !errors.Is(err, stopped) {
		t.Errorf("reading ended with %v", err)
	}
}

// Messages are found by their sequences, whatever chunks they lie in; what the archive lacks is left out.
func TestMessagesBetweenTwoSequences(t *testing.T) {
	t.Parallel()
	a := archive.New(projecttest.Database(t))
	for _, batch := range [][]archive.Archived{made(1, 3), made(4, 4), made(5, 10)} {
		if err := a.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Restore(t.Context(), made(13, 14)); err != nil { // behind a hole
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, first, last uint64 }{
		{1, 10, 1, 10}, {2, 2, 2, 2}, {3, 5, 3, 5}, {0, 1, 1, 1}, {9, 12, 9, 10}, {11, 12, 1, 0}, {11, 13, 13, 13}, {15, 20, 1, 0}, {6, 5, 1, 0},
	} {
		messages, err := a.Messages(t.Context(), c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		var want []eventlog.Message
		for _, m := range made(c.first, c.last) {
			want = append(want, m.Message())
		}
		if diff := cmp.Diff(want, messages, cmpopts.IgnoreUnexported(eventlog.Message{})); diff != "" {
			t.Errorf("%d to %d: %s", c.from, c.to, diff)
		}
	}
}
