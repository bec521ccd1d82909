package view_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
)

// archiveIsTheLog compares the archive with the stream, message by message and byte by byte.
func archiveIsTheLog(t *testing.T, l *log.Log, db *mongo.Database) {
	t.Helper()
	if diff := cmp.Diff(messages(t, l), archive(t, db)); diff != "" {
		t.Errorf("the archive is not the log (-log +archive):\n%s", diff)
	}
}

func messages(t *testing.T, l *log.Log) (all []view.Archived) {
	t.Helper()
	stream, err := l.Stream(events.StreamInventory)
	if err != nil {
		t.Fatal(err)
	}
	for sequence := uint64(1); ; sequence++ {
		m, err := stream.GetMsg(t.Context(), sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, view.ArchivedFrom(m.Sequence, m.Time, m.Subject, m.Header, m.Data))
	}
}

func archive(t *testing.T, db *mongo.Database) (all []view.Archived) {
	t.Helper()
	err := view.ReadArchive(t.Context(), db.Collection("stock_archive"), events.StreamInventory, 0, func(a view.Archived) error {
		all = append(all, a)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A process that died between writing a chunk and writing the head leaves a head that is too old. What is delivered
// again then, with other neighbours, neither doubles nor hides a message.
func TestAnArchiveWhoseHeadIsOldGoesOn(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, db := logtest.OpenOn(t, server), viewtest.Database(t)
	stop := remember(t, l, db)
	var heads []view.ArchiveHead
	for range 3 {
		for range 7 {
			move(t, l, "A", 1)
		}
		await(t, "caught up", acknowledged(t, l))
		head, err := view.ReadArchiveHead(t.Context(), db.Collection("stock_archive"), events.StreamInventory)
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, head)
	}
	for _, head := range append(heads, view.ArchiveHead{}) {
		stop()
		if _, err := db.Collection("stock_archive").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "INVENTORY/head"}}); err != nil {
			t.Fatal(err)
		}
		if head.ID != "" {
			if _, err := db.Collection("stock_archive").InsertOne(t.Context(), head); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.JetStream().DeleteConsumer(t.Context(), events.StreamInventory, "stock-view"); err != nil {
			t.Fatal(err)
		}
		move(t, l, "A", 1)
		stop = remember(t, logtest.OpenOn(t, server), db)
		await(t, "caught up again", acknowledged(t, l))
		archiveIsTheLog(t, l, db)
	}
}

// What is no text comes back as it was, and so does what was restored into a hole.
func TestTheArchiveKeepsBytes(t *testing.T) {
	t.Parallel()
	db := viewtest.Database(t)
	now := time.Now().UTC().Round(0)
	want := []view.Archived{
		view.ArchivedFrom(3, now, "inventory.stock.A", nats.Header{"ce-id": {"1"}, "Two": {"a", "b"}}, []byte(`{"quantity": 1}`)),
		view.ArchivedFrom(4, now, "inventory.stock.A", nats.Header{}, []byte{0xff, 0x00, 0x80}),
		view.ArchivedFrom(9, now, "inventory.stock.B", nats.Header{"ce-id": {"3"}}, []byte("a\x00\u2028<\n")),
	}
	for range 2 { // again is no harm
		if err := view.RestoreArchive(t.Context(), db.Collection("stock_archive"), events.StreamInventory, want); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, archive(t, db)); diff != "" {
		t.Error(diff)
	}
	if got := archive(t, db)[1].Body(); string(got) != "\xff\x00\x80" {
		t.Errorf("body %q", got)
	}
	stopped := errors.New("enough")
	err := view.ReadArchive(context.Background(), db.Collection("stock_archive"), events.StreamInventory, 4, func(a view.Archived) error {
		if a.Sequence != 4 {
			t.Errorf("began at %d, want 4", a.Sequence)
		}
		return stopped
	})
	if !errors.Is(err, stopped) {
		t.Errorf("reading ended with %v", err)
	}
}
