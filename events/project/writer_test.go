package project_test

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

func document(id string, seq uint64) project.Document {
	return project.Document{ID: id, Seq: seq, Doc: level{OnHand: int64(seq)}}
}

// seqs returns the sequence of every document.
func seqs(t testing.TB, db *mongo.Database) map[string]uint64 {
	t.Helper()
	found := map[string]uint64{}
	for _, d := range all[stored](t, db, "stock") {
		found[d.ID] = d.Seq
		if d.Doc.OnHand != int64(d.Seq) {
			t.Errorf("%s says %d, is at %d", d.ID, d.Doc.OnHand, d.Seq)
		}
	}
	return found
}

// An old state gives way to a newer document, whether the writer knows of the document or not, and keeps none of the others
// in its batch from being written.
func TestAnOldStateGivesWay(t *testing.T) {
	t.Parallel()
	const documents = 50 // more than one command takes
	write := func(t *testing.T, w project.Writer, seq func(i int) uint64) {
		t.Helper()
		batch := make([]project.Document, documents)
		for i := range batch {
			batch[i] = document(fmt.Sprintf("S%d", i), seq(i))
		}
		if err := w.Upsert(t.Context(), "stock", batch...); err != nil {
			t.Fatal(err)
		}
	}
	databases(t, func(t *testing.T, db *mongo.Database) {
		for name, returns := range map[string]func(asleep project.Writer) project.Writer{
			"Known":      func(asleep project.Writer) project.Writer { return asleep },
			"TakenOver":  func(asleep project.Writer) project.Writer { asleep.Forget(); return asleep },
			"AnotherOne": func(project.Writer) project.Writer { return project.NewWriter(db) },
		} {
			if ferret, err := project.IsFerret(t.Context(), db); err != nil || ferret && name == "Known" {
				continue // it has one writer, which is never asleep while another one writes
			}
			if err := db.Collection("stock").Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
			asleep := project.NewWriter(db)
			write(t, asleep, func(int) uint64 { return 10 })
			write(t, project.NewWriter(db), func(i int) uint64 { return 10 + uint64(i%3)*10 }) // 10, 20, 30
			write(t, returns(asleep), func(int) uint64 { return 15 })
			got := seqs(t, db)
			for i := range documents {
				if id, want := fmt.Sprintf("S%d", i), max(15, 10+uint64(i%3)*10); got[id] != want {
					t.Errorf("%s: %s is at %d, want %d", name, id, got[id], want)
				}
			}
		}
	})
}

// What a writer knows may be gone: the document is written anew, also when others of the batch are newer.
func TestADocumentThatIsGoneIsWrittenAnew(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, db *mongo.Database) {
		w := project.NewWriter(db)
		if err := w.Upsert(t.Context(), "stock", document("A", 1), document("C", 3)); err != nil {
			t.Fatal(err)
		}
		if err := project.NewWriter(db).Upsert(t.Context(), "stock", document("B", 9)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Collection("stock").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "A"}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Upsert(t.Context(), "stock", document("A", 4), document("B", 5), document("C", 6)); err != nil {
			t.Fatal(err)
		}
		if err := w.Upsert(t.Context(), "stock", document("B", 8)); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(seqs(t, db)); got != "map[A:4 B:9 C:6]" {
			t.Errorf("stored at %s", got)
		}
		if err := db.Collection("stock").Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.Upsert(t.Context(), "stock", document("A", 10), document("B", 11)); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(seqs(t, db)); got != "map[A:10 B:11]" {
			t.Errorf("stored at %s after the collection was dropped", got)
		}
	})
}

// A sequence that no event can have keeps a document from being written only until it is mended, by a rebuild.
func TestADocumentThatIsMendedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, db *mongo.Database) {
		w := project.NewWriter(db)
		for _, step := range []struct{ found, written, want uint64 }{{1 << 40, 5, 1 << 40}, {4, 6, 6}, {1 << 40, 7, 0}, {5, 8, 8}} {
			if err := db.Collection("stock").Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := project.NewWriter(db).Upsert(t.Context(), "stock", document("A", step.found)); err != nil {
				t.Fatal(err)
			}
			if err := w.Upsert(t.Context(), "stock", document("A", step.written)); err != nil {
				t.Fatal(err)
			}
			if got := seqs(t, db)["A"]; step.want > 0 && got != step.want {
				t.Errorf("%d written where %d was: at %d, want %d", step.written, step.found, got, step.want)
			}
		}
	})
}

// A document that a unique index refuses is no newer one: the writer says so, and the lane tries again.
func TestADocumentThatIsRefusedIsNotPassedOver(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, db *mongo.Database) {
		if err := project.EnsureIndexes(t.Context(), db, numbered().Collections[0]); err != nil {
			t.Fatal(err)
		}
		number := func(id string, seq uint64, number string) project.Document {
			return project.Document{ID: id, Seq: seq, Doc: map[string]any{"number": number}}
		}
		w := project.NewWriter(db)
		if err := w.Upsert(t.Context(), "numbered", number("A", 1, "one")); err != nil {
			t.Fatal(err)
		}
		err := w.Upsert(t.Context(), "numbered", number("B", 2, "one"))
		if err == nil || !strings.Contains(err.Error(), "insert B into numbered") {
			t.Errorf("two documents with one number: %v", err)
		}
		if err := w.Upsert(t.Context(), "numbered", number("A", 3, "two"), number("B", 2, "one")); err != nil {
			t.Errorf("a number that was given up and taken in one batch: %v", err)
		}
	})
}

// A process that is suspended between reading a state and writing it does not put it over what its successor wrote
// meanwhile.
func TestASleeperOverwritesNothingNewer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		known bool // the sleeper has written the document before
		in    projecttest.Write
	}{
		"New":   {known: false, in: projecttest.Write{Command: "insert", Collection: "stock"}},
		"Known": {known: true, in: projecttest.Write{Command: "update", Collection: "stock"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := projecttest.NewMember(t)
			l, db := logtest.Open(t), m.Database(t, "")
			sleeper := stockProjection().Batch(l, project.Config{DB: db})
			if c.known {
				move(t, l, "A", 1)
				if err := sleeper.Handle(t.Context(), item(t, l, 1)); err != nil {
					t.Fatal(err)
				}
			}
			move(t, l, "A", 1)
			arrived, wake := m.HoldNext(t, c.in)
			done, asleep := make(chan error, 1), item(t, l, end(t, l))
			go func() { done <- sleeper.Handle(t.Context(), asleep) }()
			<-arrived
			move(t, l, "A", 1)
			successor := start(t, l, m.Database(t, ""))
			successor.await(t)
			wake()
			if err := <-done; err != nil {
				t.Errorf("the sleeper: %v", err)
			}
			documentsAreTheLog(t, l, db, 1)
		})
	}
}

// A process that lost a lane and takes it over again knows nothing of the documents any more: a predecessor may have written
// them meanwhile.
func TestALaneThatIsTakenOverAgainComparesAnew(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, db *mongo.Database) {
		l := logtest.Open(t)
		b := stockProjection().Batch(l, project.Config{DB: db})
		takeOver := func() {
			t.Helper()
			if _, err := b.Prepare(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			move(t, l, "A", 1)
			if err := b.Handle(t.Context(), item(t, l, end(t, l))); err != nil {
				t.Fatal(err)
			}
		}
		takeOver()
		if err := project.NewWriter(db).Upsert(t.Context(), "stock", document("A", 50)); err != nil {
			t.Fatal(err)
		}
		takeOver()
		if got := seqs(t, db)["A"]; got != 50 {
			t.Errorf("A is at %d, want 50, which a predecessor wrote", got)
		}
	})
}

// item is one message of the log, as a lane hands it on.
func item(t testing.TB, l *log.Log, sequence uint64) []*worker.Item {
	t.Helper()
	m, err := l.Get(t.Context(), sequence)
	if err != nil {
		t.Fatal(err)
	}
	return []*worker.Item{{Message: m}}
}
