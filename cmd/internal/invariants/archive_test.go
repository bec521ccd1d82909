package invariants_test

import (
	"cmp"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

// runArchive runs the archive lane until the test ends.
func runArchive(t *testing.T, s *shop, db *mongo.Database) {
	t.Helper()
	l := logtest.OpenOn(t, s.server)
	projecttest.Start(t, l, worker.Config{Batches: []worker.Batch{archive.Batch(l, archive.Config{DB: db, Window: 10 * time.Millisecond})}})
}

func TestDifferencesBetweenLogAndArchiveAreFound(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.everyKind()
	db := projecttest.Database(t)
	runArchive(t, s, db)
	options := s.options()
	options.DB = db
	finds(t, check(t, options)) // waits for the archive to catch up

	options.ArchivePatience = time.Millisecond
	rewrite(t, db, func(a archive.Archived) bool {
		return a.Sequence != 2 && a.Sequence != 3 && a.Sequence != 5 && a.Sequence != 7
	}, archived(0, "x"), archived(7, "other"), archived(99999, "lost at the end"))
	finds(t, check(t, options),
		invariants.Finding{Invariant: "I6", Subject: "sequence 0", Detail: "is in the archive but not in the log"},
		invariants.Finding{Invariant: "I6", Subject: "sequence 5", Detail: "is not in the archive"},
		invariants.Finding{Invariant: "I6", Subject: "sequence 7", Detail: "is event other in the archive and another event in the log"},
		invariants.Finding{Invariant: "I6", Subject: "sequence 99999",
			Detail: "is in the archive but not in the log, which has lost its end"},
		invariants.Finding{Invariant: "I6", Subject: "sequences 2–3", Detail: "2 events are not in the archive"})
}

// The stream denies deletion, so a sequence without an event is damage, whether or not the archive has it.
func TestGapsInTheLogAreFound(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.adjusted("CUP", 1)
	s.adjusted("POT", 1)
	s.adjusted("PAN", 1)
	db := projecttest.Database(t)
	var all []archive.Archived
	for sequence := uint64(1); sequence <= 4; sequence++ {
		m, err := s.reader.Get(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, archive.From(m))
	}
	if err := archive.New(db).Append(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	s.lose(2, 4)
	lost := func(subject, detail string) invariants.Finding {
		return invariants.Finding{Invariant: "I6", Subject: subject, Detail: detail}
	}
	damaged := "is missing in the log: the log is damaged"
	finds(t, check(t, s.options()), lost("sequence 2", damaged), lost("sequence 4", damaged))
	options := s.options()
	options.DB = db
	finds(t, check(t, options),
		lost("sequence 2", "is in the archive but not in the log"), lost("sequence 2", damaged),
		lost("sequence 4", "is in the archive but not in the log"), lost("sequence 4", damaged))
}

// lose removes events from the log, as a damaged disk does.
func (s *shop) lose(sequences ...uint64) {
	s.t.Helper()
	config := eventlog.Streams(1)[0]
	var all []*nats.Msg
	for sequence := uint64(1); ; sequence++ {
		m, err := s.reader.Get(s.t.Context(), sequence)
		if err != nil {
			break
		}
		all = append(all, &nats.Msg{Subject: m.Subject, Header: nats.Header{}, Data: m.Data})
		for _, name := range []string{events.HeaderSpecVersion, events.HeaderID, events.HeaderType, events.HeaderSource, events.HeaderTime, events.HeaderVersion} {
			all[len(all)-1].Header.Set(name, m.Header.Get(name))
		}
	}
	config.DenyDelete = false
	if err := s.js.DeleteStream(s.t.Context(), config.Name); err != nil {
		s.t.Fatal(err)
	}
	stream, err := s.js.CreateStream(s.t.Context(), config)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, m := range all {
		if _, err := s.js.PublishMsg(s.t.Context(), m); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, sequence := range sequences {
		if err := stream.SecureDeleteMsg(s.t.Context(), sequence); err != nil {
			s.t.Fatal(err)
		}
	}
}

// Events that are appended and archived during the check are no findings.
func TestEventsArchivedDuringTheCheckAreNotLost(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	db := projecttest.Database(t)
	runArchive(t, s, db)
	options := s.options()
	options.DB, options.StripeURL, options.StripeKey = db, s.serve().URL, "sk_test_1"
	finds(t, check(t, options)) // waits until every event is archived
	options.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		s.adjusted("MUG", 1)
		if err := archive.New(db).Restore(r.Context(), []archive.Archived{archived(2, "later")}); err != nil {
			t.Error(err)
		}
		return http.DefaultTransport.RoundTrip(r)
	})}
	finds(t, check(t, options))
}

// An archive that is behind has lost nothing: its lane is paused or runs in no process.
func TestArchiveThatIsBehindIsDistinguished(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	options := s.options()
	options.DB, options.ArchivePatience = projecttest.Database(t), time.Millisecond
	finds(t, check(t, options), invariants.Finding{Invariant: "I6", Subject: "sequence 1",
		Detail: "is not in the archive, which has reached 0: does ops lag show its lane as paused or free?"})
}

func archived(sequence uint64, id string) archive.Archived {
	return archive.From(eventlog.Message{Sequence: sequence, Stored: time.Now(), Subject: "somewhere", Header: nats.Header{events.HeaderID: {id}}})
}

// rewrite replaces the archive by the events that are kept and those that are added.
func rewrite(t *testing.T, db *mongo.Database, keep func(archive.Archived) bool, added ...archive.Archived) {
	t.Helper()
	copied := archive.New(db)
	err := copied.Each(t.Context(), 0, func(a archive.Archived) error {
		if keep(a) {
			added = append(added, a)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(added, func(a, b archive.Archived) int { return cmp.Compare(a.Sequence, b.Sequence) })
	if _, err := db.Collection(archive.Collection).DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$ne", Value: "head"}}}}); err != nil {
		t.Fatal(err)
	}
	if err := copied.Restore(t.Context(), added); err != nil {
		t.Fatal(err)
	}
}
