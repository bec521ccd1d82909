package project_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
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

func rebuild(t testing.TB, l *log.Log, db *mongo.Database, dry bool) project.RebuildReport {
	t.Helper()
	r := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), DryRun: dry}
	report, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// databases are one as it is, and one that looks like MongoDB: FerretDB and MongoDB are written differently.
func databases(t *testing.T, test func(t *testing.T, db *mongo.Database)) {
	t.Helper()
	t.Run("AsItIs", func(t *testing.T) { t.Parallel(); test(t, projecttest.Database(t)) })
	t.Run("AsMongoDB", func(t *testing.T) { t.Parallel(); test(t, projecttest.NewMember(t).Database(t, "")) })
}

// Rows 26 and 58 of the fault matrix: documents that were lost, changed or made up are what the log says again, byte by
// byte, while events flow; so is a collection that was deleted. A dry run says so and changes nothing.
func TestRebuildWhileEventsFlow(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, db *mongo.Database) {
		server := logtest.Server(t)
		l := logtest.OpenOn(t, server)
		shop := start(t, l, db)
		for i := range 30 {
			move(t, l, fmt.Sprintf("S%d", i), 1)
		}
		shop.awaitCheckpoint(t)
		stopSelling := sell(t, logtest.OpenOn(t, server))

		damage(t, db, "stock", "S1", "S2", "GHOST")
		report := rebuild(t, l, db, true)
		c := report.Collections[0]
		if c.Missing != 1 || c.Different != 1 || c.Extra != 1 || report.Written || report.Drifted() != 3 {
			t.Errorf("dry run: %+v", report)
		}
		want := []project.Drift{{ID: "S2", Detail: "doc.on_hand is {\"$numberLong\":\"-7\"}, should be {\"$numberLong\":\"1\"}"},
			{ID: "S1", Detail: "is missing"}, {ID: "GHOST", Detail: "the log knows of no such entity"}}
		if diff := cmp.Diff(want, c.Drifts); diff != "" {
			t.Error(diff)
		}
		if again := rebuild(t, l, db, false); again.Drifted() != 3 || !again.Written {
			t.Errorf("rebuild: %+v", again)
		}
		for range 2 {
			if after := rebuild(t, l, db, true); after.Drifted() != 0 || after.Sequence == 0 {
				t.Fatalf("drifted while events flow: %+v", after)
			} else {
				t.Logf("%d documents, %.2f s", after.Collections[0].Documents, after.Seconds)
			}
		}
		shop.stop() // else it would write back by itself some of what is deleted
		if err := db.Collection("stock").Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
		// What was sold since the projection stopped is the projection's to write.
		if gone := rebuild(t, l, db, false).Collections[0]; gone.Missing < 30 || gone.Missing > gone.Documents || gone.Different+gone.Extra > 0 {
			t.Errorf("after the collection was deleted: %+v", gone)
		}
		shop = start(t, l, db)
		stopSelling()
		shop.awaitCheckpoint(t)
		last := rebuild(t, l, db, true)
		if last.Drifted() != 0 || last.Collections[0].Documents < 31 {
			t.Errorf("at the end: %+v", last)
		}
		documentsAreTheLog(t, l, db, last.Collections[0].Documents)
		if names, err := db.ListCollectionNames(t.Context(), bson.D{}); err != nil || strings.Contains(strings.Join(names, " "), "rebuild") {
			t.Errorf("left behind: %v, %v", names, err)
		}
	})
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

// Documents may lag behind the log by what the projection has not written yet, whether they exist already or not.
func TestAViewThatIsBehindHasNotDrifted(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	move(t, l, "A", 1)
	shop.awaitCheckpoint(t)
	shop.stop()
	move(t, l, "A", 1)
	move(t, l, "B", 1)
	for _, dry := range []bool{true, false} {
		if report := rebuild(t, l, db, dry); report.Drifted() != 0 || report.Sequence != 1 {
			t.Errorf("dry %v: %+v", dry, report)
		}
	}
}

// A document that lacks an event up to the checkpoint has drifted, although it was right once.
func TestADocumentThatLacksAnEventHasDrifted(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	move(t, l, "A", 1)
	shop.await(t)
	old := all[stored](t, db, "stock")[0]
	move(t, l, "A", 1)
	shop.awaitCheckpoint(t)
	if _, err := db.Collection("stock").ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "A"}}, old); err != nil {
		t.Fatal(err)
	}
	if report := rebuild(t, l, db, false); report.Collections[0].Different != 1 {
		t.Errorf("it lacks an event: %+v", report)
	}
	documentsAreTheLog(t, l, db, 1)
}

// A log with more entities than fit into memory is read several times, and each document is looked at once.
func TestARebuildInSeveralPasses(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	for i := range 20 {
		move(t, l, fmt.Sprintf("S%d", i), 1)
	}
	shop.awaitCheckpoint(t)
	for _, i := range []int{0, 2, 4, 6, 8} {
		damage(t, db, "stock", fmt.Sprintf("S%d", i), fmt.Sprintf("S%d", i+1), fmt.Sprintf("GHOST%d", i))
	}
	for _, want := range []int{5, 0} {
		r := project.Rebuild{DB: db, Log: l, Projection: stockProjection()}
		r.AtOnce(3)
		report, err := r.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c := report.Collections[0]; c.Documents != 20 || c.Missing != want || c.Different != want || c.Extra != want || len(c.Drifts) != 3*want {
			t.Errorf("want %d of each sort: %+v", want, c)
		}
	}
	documentsAreTheLog(t, l, db, 20)
}

// A log that ends before the checkpoint is not the one that the documents were made of: they stay as they are.
func TestALogThatWentBackIsNotRebuiltFrom(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	shop := start(t, l, db)
	move(t, l, "A", 1)
	move(t, l, "A", 1)
	shop.awaitCheckpoint(t)
	shop.stop()
	before := all[stored](t, db, "stock")
	goBack(t, l)
	r := project.Rebuild{DB: db, Log: l, Projection: stockProjection()}
	if report, err := r.Run(t.Context()); !errors.Is(err, log.ErrTruncated) || report.Written {
		t.Errorf("rebuilt from a log that went back: %+v, %v", report, err)
	}
	if diff := cmp.Diff(before, all[stored](t, db, "stock")); diff != "" {
		t.Error(diff)
	}
}

// goBack puts an empty log in the place of the one that is there.
func goBack(t *testing.T, l *log.Log) {
	t.Helper()
	config := log.Streams(1)[0]
	if err := l.JetStream().DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := l.JetStream().CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

func TestRebuildNamesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	l, db := logtest.Open(t), projecttest.Database(t)
	never := project.Rebuild{DB: db, Log: l, Projection: stockProjection()}
	if _, err := never.Run(t.Context()); !errors.Is(err, project.ErrNeverRan) {
		t.Errorf("a projection that never ran: %v", err)
	}
	unknown := project.Rebuild{DB: db, Log: l, Projection: stockProjection(), Collections: []string{"socks"}}
	if _, err := unknown.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `no collection "socks"`) {
		t.Errorf("an unknown collection: %v", err)
	}
}

// numbered is a projection whose documents have a number that no two may share.
func numbered() project.Projection {
	return project.Projection{Name: lane, Collections: []project.Collection{project.NewCollection("numbered", levels,
		func(id string, s level) any { return map[string]any{"number": id, "on_hand": s.OnHand} }, project.Index{Keys: []string{"doc.number"}, Unique: true})}}
}

// Row 26 of the fault matrix: a rebuild names the indexes that are missing, and makes them; a unique one only when the
// documents do not wrongly agree any more.
func TestRebuildMakesMissingIndexes(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, db *mongo.Database) {
		l := logtest.Open(t)
		shop := run(t, l, batches(numbered().Batch(l, project.Config{DB: db, Window: window})))
		move(t, l, "A", 1)
		move(t, l, "B", 1)
		shop.awaitCheckpoint(t)
		c := db.Collection("numbered")
		if err := c.Indexes().DropOne(t.Context(), "doc_number"); err != nil {
			t.Fatal(err)
		}
		twin := bson.D{{Key: "_id", Value: "B"}, {Key: "seq", Value: int64(2)}, {Key: "doc", Value: bson.D{{Key: "number", Value: "A"}, {Key: "on_hand", Value: int64(1)}}}}
		if _, err := c.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "B"}}, twin); err != nil {
			t.Fatal(err)
		}
		for _, dry := range []bool{true, false} {
			r := project.Rebuild{DB: db, Log: l, Projection: numbered(), DryRun: dry}
			report, err := r.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := report.Collections[0]; !slices.Equal(got.MissingIndexes, []string{"doc_number"}) || got.Different != 1 || report.Drifted() != 2 {
				t.Errorf("dry %v: %+v", dry, report)
			}
			if there := hasIndex(t, c, "doc_number"); there == dry {
				t.Errorf("dry %v: the index is there: %v", dry, there)
			}
		}
		r := project.Rebuild{DB: db, Log: l, Projection: numbered(), DryRun: true}
		if report, err := r.Run(t.Context()); err != nil || report.Drifted() != 0 {
			t.Errorf("afterwards: %+v, %v", report, err)
		}
	})
}
