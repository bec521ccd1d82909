package view_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
)

// damage does to a collection what should never happen to it.
func damage(t testing.TB, db *mongo.Database, collection string, lost, changed, invented string) {
	t.Helper()
	c := db.Collection(collection)
	_, err := c.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: lost}})
	var d stored
	err = errors.Join(err, c.FindOne(t.Context(), bson.D{{Key: "_id", Value: changed}}).Decode(&d))
	d.Doc.OnHand = -7
	_, err2 := c.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: changed}}, d)
	_, err3 := c.InsertOne(t.Context(), stored{ID: invented, Seq: 1 << 40, Doc: level{OnHand: 1}})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
}

func rebuild(t testing.TB, l *log.Log, db *mongo.Database, dry bool) view.RebuildReport {
	t.Helper()
	r := view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), DryRun: dry}
	report, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Rows 26 and 58 of the fault matrix: documents that were lost, changed or made up are what the log says again, byte by
// byte, while events flow; so is a collection that was deleted. A dry run says so and changes nothing.
func TestRebuildWhileEventsFlow(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, db := logtest.OpenOn(t, server), viewtest.Database(t)
	remember(t, l, db)
	for i := range 30 {
		move(t, l, fmt.Sprintf("S%d", i), 1)
	}
	await(t, "caught up", acknowledged(t, l))
	stopSelling := sell(t, logtest.OpenOn(t, server))

	damage(t, db, "stock", "S1", "S2", "GHOST")
	report := rebuild(t, l, db, true)
	c := report.Collections[0]
	if c.Missing != 1 || c.Different != 1 || c.Extra != 1 || report.Swapped || report.Drifted() != 3 {
		t.Errorf("dry run: %+v", report)
	}
	want := []view.Drift{{ID: "S2", Detail: "doc.on_hand is {\"$numberLong\":\"-7\"}, should be {\"$numberLong\":\"1\"}"},
		{ID: "S1", Detail: "is missing"}, {ID: "GHOST", Detail: "the log knows of no such entity"}}
	if diff := cmp.Diff(want, c.Drifts); diff != "" {
		t.Error(diff)
	}
	if again := rebuild(t, l, db, false); again.Drifted() != 3 || !again.Swapped {
		t.Errorf("rebuild: %+v", again)
	}
	for range 2 {
		if after := rebuild(t, l, db, true); after.Drifted() != 0 || after.Sequence == 0 {
			t.Fatalf("drifted while events flow: %+v", after)
		} else {
			t.Logf("%d documents, %.2f s of which held %.2f s", after.Collections[0].Documents, after.Seconds, after.HeldSeconds)
		}
	}
	letGo := rest(t, l) // else it would write back by itself some of what is deleted
	if err := db.Collection("stock").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if gone := rebuild(t, l, db, false).Collections[0]; gone.Missing < 30 || gone.Missing != gone.Documents {
		t.Errorf("after the collection was deleted: %+v", gone)
	}
	letGo()
	stopSelling()
	await(t, "caught up", acknowledged(t, l))
	for _, d := range all[stored](t, db, "stock") {
		state, seq, err := levels.Read(t.Context(), l, d.ID)
		if err != nil || d.Seq != seq || d.Doc != state {
			t.Errorf("%s is stored as %+v, is %+v at %d (%v)", d.ID, d, state, seq, err)
		}
	}
	if last := rebuild(t, l, db, true); last.Drifted() != 0 || last.Collections[0].Documents < 31 {
		t.Errorf("at the end: %+v", last)
	}
	if names, err := db.ListCollectionNames(t.Context(), bson.D{}); err != nil || strings.Contains(strings.Join(names, " "), "rebuild") {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

// rest pauses the view, as operators do, and returns when it has nothing in hand.
func rest(t testing.TB, l *log.Log) (letGo func()) {
	t.Helper()
	if _, err := l.JetStream().PauseConsumer(t.Context(), events.StreamInventory, "stock-view", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	await(t, "the view rests", func() bool {
		c, err := l.JetStream().Consumer(t.Context(), events.StreamInventory, "stock-view")
		return err == nil && c.CachedInfo().Paused && c.CachedInfo().NumAckPending == 0
	})
	return func() {
		t.Helper()
		if _, err := l.JetStream().ResumeConsumer(t.Context(), events.StreamInventory, "stock-view"); err != nil {
			t.Fatal(err)
		}
	}
}

// sell appends to some old and to new entities until stopped.
func sell(t testing.TB, l *log.Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var selling sync.WaitGroup
	selling.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond) // faster, and the database of a busy machine would never keep up
		defer ticker.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			move(t, l, fmt.Sprintf("S%d", 10+i%20), 1)
			move(t, l, fmt.Sprintf("NEW%d", i), 1)
			<-ticker.C
		}
	})
	stop = func() { cancel(); selling.Wait() }
	t.Cleanup(stop)
	return stop
}

// A rebuild that ends in the middle leaves a view that goes on, and one that operators had paused stays so.
func TestARebuildThatEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	remember(t, l, db)
	move(t, l, "A", 1)
	await(t, "caught up", acknowledged(t, l))
	ctx, cancel := context.WithCancel(t.Context())
	cut := view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), Progress: func(stage string, _, _ uint64) {
		if strings.HasPrefix(stage, "fold what is new") {
			if until := pause(t, l); until.Before(time.Now()) || until.After(time.Now().Add(2*time.Minute)) {
				t.Errorf("held until %s: too short, or too long for a process that dies", until)
			}
			cancel()
		}
	}}
	if _, err := cut.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
	if until := pause(t, l); !until.IsZero() {
		t.Errorf("paused until %s", until)
	}
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	if _, err := l.JetStream().PauseConsumer(t.Context(), events.StreamInventory, "stock-view", tomorrow); err != nil {
		t.Fatal(err)
	}
	move(t, l, "A", 1)
	if report := rebuild(t, l, db, false); report.Drifted() != 0 || report.Sequence != 1 {
		t.Errorf("a view that is behind has not drifted: %+v", report)
	}
	if until := pause(t, l); !until.Equal(tomorrow) {
		t.Errorf("paused until %s, want %s", until, tomorrow)
	}
}

// pause is until when the view is paused; zero: it is not.
func pause(t testing.TB, l *log.Log) time.Time {
	t.Helper()
	c, err := l.JetStream().Consumer(t.Context(), events.StreamInventory, "stock-view")
	if err != nil {
		t.Fatal(err)
	}
	if info := c.CachedInfo(); info.Paused {
		return *info.Config.PauseUntil
	}
	return time.Time{}
}

func TestRebuildNamesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), viewtest.Database(t)
	never := view.Rebuild{DB: db, JS: l.JetStream(), View: stockView()}
	if _, err := never.Run(t.Context()); !errors.Is(err, view.ErrNeverRan) {
		t.Errorf("a view that never ran: %v", err)
	}
	unknown := view.Rebuild{DB: db, JS: l.JetStream(), View: stockView(), Collections: []string{"socks"}}
	if _, err := unknown.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `no collection "socks"`) {
		t.Errorf("an unknown collection: %v", err)
	}
}
