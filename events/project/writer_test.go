package project_test

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

func document(id string, seq uint64) project.Document {
	return project.Document{ID: id, Seq: seq, Doc: level{OnHand: int64(seq)}}
}

// upsert writes documents to the collection stock.
func upsert(t testing.TB, w project.Writer, documents ...project.Document) {
	t.Helper()
	if err := w.Upsert(t.Context(), "stock", documents...); err != nil {
		t.Fatal(err)
	}
}

// sequences returns the sequence of every document.
func sequences(t testing.TB, db *mongo.Database) map[string]uint64 {
	t.Helper()
	found := map[string]uint64{}
	for _, d := range all[stored](t, db, "stock") {
		found[d.ID] = d.Seq
		if d.Doc.OnHand != int64(d.Seq) {
			t.Errorf("%s at %d: got content of %d", d.ID, d.Seq, d.Doc.OnHand)
		}
	}
	return found
}

// A newer document is kept, whether the writer has cached the document or not, and the other documents of the batch are written.
func TestWriterKeepsNewerDocuments(t *testing.T) {
	t.Parallel()
	const documents = 50 // more than fit into one command
	write := func(t *testing.T, w project.Writer, seq func(i int) uint64) {
		t.Helper()
		batch := make([]project.Document, documents)
		for i := range batch {
			batch[i] = document(fmt.Sprintf("S%d", i), seq(i))
		}
		upsert(t, w, batch...)
	}
	eachDatabase(t, func(t *testing.T, db *mongo.Database) {
		for name, later := range map[string]func(suspended project.Writer) project.Writer{
			"Cached":      func(suspended project.Writer) project.Writer { return suspended },
			"Forgotten":   func(suspended project.Writer) project.Writer { suspended.Forget(); return suspended },
			"OtherWriter": func(project.Writer) project.Writer { return project.NewWriter(db) },
		} {
			if ferret, err := project.IsFerret(t.Context(), db); err != nil || ferret && name == "Cached" {
				continue // FerretDB has one writer, which is never suspended while another one writes
			}
			if err := db.Collection("stock").Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
			suspended := project.NewWriter(db)
			write(t, suspended, func(int) uint64 { return 10 })
			write(t, project.NewWriter(db), func(i int) uint64 { return 10 + uint64(i%3)*10 }) // 10, 20, 30
			write(t, later(suspended), func(int) uint64 { return 15 })
			got := sequences(t, db)
			for i := range documents {
				if id, want := fmt.Sprintf("S%d", i), max(15, 10+uint64(i%3)*10); got[id] != want {
					t.Errorf("%s: sequence of %s: got %d, want %d", name, id, got[id], want)
				}
			}
		}
	})
}

// A cached document may have been deleted: it is inserted, also when other documents of the batch are newer.
func TestWriterInsertsDeletedDocument(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *mongo.Database) {
		w := project.NewWriter(db)
		upsert(t, w, document("A", 1), document("C", 3))
		upsert(t, project.NewWriter(db), document("B", 9))
		if _, err := db.Collection("stock").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "A"}}); err != nil {
			t.Fatal(err)
		}
		upsert(t, w, document("A", 4), document("B", 5), document("C", 6))
		upsert(t, w, document("B", 8))
		if got, want := fmt.Sprint(sequences(t, db)), "map[A:4 B:9 C:6]"; got != want {
			t.Errorf("sequences: got %s, want %s", got, want)
		}
		if err := db.Collection("stock").Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
		upsert(t, w, document("A", 10), document("B", 11))
		if got, want := fmt.Sprint(sequences(t, db)), "map[A:10 B:11]"; got != want {
			t.Errorf("sequences after the collection was dropped: got %s, want %s", got, want)
		}
	})
}

// A document whose sequence no event has is not overwritten until a rebuild has repaired it.
func TestWriterReplacesRepairedDocument(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *mongo.Database) {
		w := project.NewWriter(db)
		for _, step := range []struct{ stored, written, want uint64 }{{1 << 40, 5, 1 << 40}, {4, 6, 6}, {1 << 40, 7, 0}, {5, 8, 8}} {
			if err := db.Collection("stock").Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
			upsert(t, project.NewWriter(db), document("A", step.stored))
			upsert(t, w, document("A", step.written))
			if got := sequences(t, db)["A"]; step.want > 0 && got != step.want {
				t.Errorf("write %d over %d: got %d, want %d", step.written, step.stored, got, step.want)
			}
		}
	})
}

// A document that a unique index refuses is an error, and the lane retries: the stored document is not a newer version of it.
func TestWriterReportsDuplicateOfUniqueKey(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *mongo.Database) {
		if err := project.EnsureIndexes(t.Context(), db, numberedProjection().Collections[0]); err != nil {
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
			t.Errorf("insert of a taken number: got %v, want an error about B", err)
		}
		if err := w.Upsert(t.Context(), "numbered", number("A", 3, "two"), number("B", 2, "one")); err != nil {
			t.Errorf("one batch that releases and takes a number: %v", err)
		}
	})
}

// A process that was suspended between reading a state and writing it does not overwrite what its successor has written.
func TestSuspendedProcessOverwritesNothingNewer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		known bool // the suspended process has written the document before
		held  projecttest.Write
	}{
		"New":   {known: false, held: projecttest.Write{Command: "insert", Collection: "stock"}},
		"Known": {known: true, held: projecttest.Write{Command: "update", Collection: "stock"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := projecttest.NewMember(t)
			l, db := logtest.Open(t), m.Database(t, "")
			suspended := stockProjection().Batch(l, project.Config{DB: db})
			if c.known {
				adjust(t, l, "A", 1)
				if err := suspended.Handle(t.Context(), item(t, l, 1)); err != nil {
					t.Fatal(err)
				}
			}
			adjust(t, l, "A", 1)
			arrived, resume := m.HoldNext(t, c.held)
			done, last := make(chan error, 1), item(t, l, projecttest.End(t, l))
			go func() { done <- suspended.Handle(t.Context(), last) }()
			<-arrived
			adjust(t, l, "A", 1)
			start(t, l, m.Database(t, "")).await(t)
			resume()
			if err := <-done; err != nil {
				t.Errorf("suspended process: %v", err)
			}
			checkDocuments(t, l, db, 1)
		})
	}
}

// A process that takes a lane over again empties the cache: another process may have written them in the meantime.
func TestLaneTakenOverAgainComparesDocuments(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *mongo.Database) {
		l := logtest.Open(t)
		b := stockProjection().Batch(l, project.Config{DB: db})
		takeOver := func() {
			t.Helper()
			if _, err := b.Prepare(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			adjust(t, l, "A", 1)
			if err := b.Handle(t.Context(), item(t, l, projecttest.End(t, l))); err != nil {
				t.Fatal(err)
			}
		}
		takeOver()
		upsert(t, project.NewWriter(db), document("A", 50))
		takeOver()
		if got := sequences(t, db)["A"]; got != 50 {
			t.Errorf("sequence of A: got %d, want 50 of the other process", got)
		}
	})
}

// item returns one message of the log as a lane passes it to Handle.
func item(t testing.TB, l *eventlog.Log, sequence uint64) []*worker.Item {
	t.Helper()
	m, err := l.Get(t.Context(), sequence)
	if err != nil {
		t.Fatal(err)
	}
	return []*worker.Item{{Message: m}}
}
