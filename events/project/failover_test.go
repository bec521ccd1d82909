package project_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/archive"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

// flush is what the lanes write for a batch: the archive a chunk and how far it goes, the projection new items and known ones.
var flush = []projecttest.Write{{Command: "insert", Collection: archive.Collection}, {Command: "update", Collection: archive.Collection},
	{Command: "insert", Collection: "stock"}, {Command: "update", Collection: "stock"}}

// Row 25 of the fault matrix: the primary steps down in each of the writes that the lanes make, and whatever becomes of that
// write, the archive has every event once and the documents are the log's. A wire before FerretDB behaves as a replica set
// does: [TestAReplicaSetFailsOver] wants a real one.
func TestAPrimaryStepsDown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fate    projecttest.Fate
		options string // of the address
	}{
		"DoneAndUnanswered":  {fate: projecttest.DoneUnanswered},
		"DoneAndInterrupted": {fate: projecttest.DoneInterrupted},
		"DoneAndRolledBack":  {fate: projecttest.DoneRolledBack},
		"NotDone":            {fate: projecttest.NotDone},
		"AskedAllTheSame":    {fate: projecttest.NotDone, options: "?directConnection=true"}, // by a driver that looks for no primary
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := projecttest.NewMember(t)
			s := newShopkeeper(t, m.Database(t, c.options))
			for i, w := range flush {
				s.lanes.await(t)
				m.StepDownDuring(w, c.fate)
				s.sellsAKnownAndANew(t, i)
				await(t, "the process says what keeps it", func() bool { return s.lanes.Degraded() != nil })
				if err := s.lanes.Ready(); err != nil {
					t.Errorf("selling waits for the database: %v", err)
				}
				s.sells(t, slices.Repeat([]string{"A", "B"}, 10)...)
				if c.options != "" {
					await(t, "it refuses what it is asked again and again", func() bool { return m.Refusals() > 2 })
				}
				await(t, "the process says that it is behind", func() bool { return s.lag(t) > 0 })
				m.Elect()
			}
			s.lanes.await(t)
			if lag := s.lag(t); lag != 0 {
				t.Errorf("behind by %v after it has caught up", lag)
			}
			s.isRemembered(t)
		})
	}
}

// Row 25 of the fault matrix: there is another primary before anything more is asked, and what the old one said it had
// written, to itself alone, is gone.
func TestAPrimaryTakesItsWritesWithIt(t *testing.T) {
	t.Parallel()
	m := projecttest.NewMember(t)
	s := newShopkeeper(t, m.Database(t, ""))
	for i, w := range flush {
		s.lanes.await(t)
		m.ReplaceDuring(w)
		s.sellsAKnownAndANew(t, i)
	}
	s.lanes.await(t)
	s.isRemembered(t)
}

// shopkeeper moves stock, and has lanes that remember it.
type shopkeeper struct {
	lanes   *process
	metrics *prometheus.Registry
	db      *mongo.Database
	moved   uint64 // how often
}

func newShopkeeper(t *testing.T, db *mongo.Database) *shopkeeper {
	t.Helper()
	s := &shopkeeper{db: db, metrics: prometheus.NewRegistry()}
	s.lanes = start(t, logtest.Open(t), db, func(c *worker.Config) { c.Registerer = s.metrics })
	for i := range flush {
		s.sells(t, fmt.Sprintf("KNOWN%d", i))
	}
	s.lanes.await(t)
	return s
}

// lag is how many events the lanes are behind, as operators are told.
func (s *shopkeeper) lag(t *testing.T) (lag float64) {
	t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "tillstream_lane_lag_events" {
			continue
		}
		for _, m := range f.GetMetric() {
			lag += m.GetGauge().GetValue()
		}
	}
	return lag
}

// sellsAKnownAndANew sells two items that are never sold again: that would mend what went wrong.
func (s *shopkeeper) sellsAKnownAndANew(t *testing.T, i int) {
	t.Helper()
	s.sells(t, fmt.Sprintf("KNOWN%d", i), fmt.Sprintf("NEW%d", i))
}

// sells moves items, each by one.
func (s *shopkeeper) sells(t *testing.T, items ...string) {
	t.Helper()
	for _, item := range items {
		move(t, s.lanes.log, item, 1)
		s.moved++
	}
}

// isRemembered checks that the archive has every event once, and that the documents are what a fresh fold gives.
func (s *shopkeeper) isRemembered(t *testing.T) {
	t.Helper()
	if got := len(messages(t, s.lanes.log)); uint64(got) != s.moved {
		t.Errorf("%d events in the log, want %d", got, s.moved)
	}
	archiveIsTheLog(t, s.lanes.log, s.db)
	s.archiveHasNothingTwice(t)
	s.lanes.awaitCheckpoint(t)
	if report := rebuild(t, s.lanes.log, s.db, true); report.Drifted() > 0 {
		t.Errorf("the documents are not the fold of the log: %+v", report)
	}
}

// archiveHasNothingTwice looks at the chunks themselves: [archive.Archive.Each] passes over what overlaps.
func (s *shopkeeper) archiveHasNothingTwice(t *testing.T) {
	t.Helper()
	head, err := archive.New(s.db).Head(t.Context())
	if err != nil || head.Last != s.moved {
		t.Errorf("head %+v (%v), want it at %d", head, err, s.moved)
	}
	type chunk struct {
		ID   string `bson:"_id"`
		Last uint64 `bson:"last"`
	}
	chunks := slices.DeleteFunc(all[chunk](t, s.db, archive.Collection), func(c chunk) bool { return c.ID == head.ID })
	slices.SortFunc(chunks, func(a, b chunk) int { return cmp.Compare(a.ID, b.ID) })
	for i, next := 0, uint64(1); i < len(chunks); i++ {
		if want := fmt.Sprintf("%012d", next); chunks[i].ID != want {
			t.Errorf("chunk %s stands where %s should", chunks[i].ID, want)
		}
		next = chunks[i].Last + 1
	}
}

// Row 25 of the fault matrix: a real replica set whose primary steps down while the lanes write, three times. It wants
// TEST_MONGODB_URI to name one, with the right to make it step down, and TEST_MONGODB_FAILOVER to say that nobody else uses
// it meanwhile.
func TestAReplicaSetFailsOver(t *testing.T) {
	if os.Getenv("TEST_MONGODB_URI") == "" || os.Getenv("TEST_MONGODB_FAILOVER") == "" {
		t.Skip("TEST_MONGODB_FAILOVER=1 makes the replica set of TEST_MONGODB_URI fail over: else only TestAPrimaryStepsDown shows this")
	}
	db := projecttest.Database(t)
	if primaryOf(t, db).SetName == "" {
		t.Fatal("TEST_MONGODB_URI names a server that is in no replica set: it cannot fail over")
	}
	s := newShopkeeper(t, db)
	for i := range 3 {
		s.sells(t, slices.Repeat([]string{"A", fmt.Sprintf("BEFORE%d", i)}, 10)...)
		before := primaryOf(t, db).ElectionID
		var stepping sync.WaitGroup
		stepping.Go(func() { stepDown(t, db) })
		s.sells(t, slices.Repeat([]string{"A", fmt.Sprintf("MEANWHILE%d", i)}, 100)...)
		stepping.Wait()
		await(t, "a primary is elected", func() bool { return primaryOf(t, db).ElectionID != before })
		s.sells(t, slices.Repeat([]string{"A", fmt.Sprintf("AFTER%d", i)}, 10)...)
		s.lanes.await(t)
	}
	s.isRemembered(t)
}

// stepDown makes a primary step down for five seconds, whoever else is there to be elected: it may elect itself again.
func stepDown(t *testing.T, db *mongo.Database) {
	t.Helper()
	err := db.Client().Database("admin").RunCommand(t.Context(),
		bson.D{{Key: "replSetStepDown", Value: 5}, {Key: "secondaryCatchUpPeriodSecs", Value: 2}, {Key: "force", Value: true}}).Err()
	if err != nil && !mongo.IsNetworkError(err) { // before MongoDB 4.2 the answer is a closed connection
		t.Errorf("step down: %v", err)
	}
}

// primary is what a replica set's primary says of itself.
type primary struct {
	SetName    string        `bson:"setName"`
	Writable   bool          `bson:"isWritablePrimary"`
	ElectionID bson.ObjectID `bson:"electionId"` // another one after each election
}

// primaryOf asks the primary, once there is one: one that has just stepped down may be asked first.
func primaryOf(t *testing.T, db *mongo.Database) (p primary) {
	t.Helper()
	await(t, "a primary answers", func() bool {
		p = primary{}
		err := db.Client().Database("admin").RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&p)
		return err == nil && p.Writable
	})
	return p
}
