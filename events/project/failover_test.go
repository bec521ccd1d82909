package project_test

import (
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

// laneWrites are the writes of the lanes for one batch: the archive writes a chunk and its head, the projection new and existing
// documents.
var laneWrites = []projecttest.Write{{Command: "insert", Collection: archive.Collection}, {Command: "update", Collection: archive.Collection},
	{Command: "insert", Collection: "stock"}, {Command: "update", Collection: "stock"}}

// Row 25 of the fault matrix: the primary steps down during each write of the lanes. Whatever the outcome of that write, the
// archive has every event once and the documents equal the log. A proxy before FerretDB behaves as a replica set does;
// [TestReplicaSetFailover] needs a real one.
func TestPrimaryStepsDownDuringWrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome projecttest.Outcome
		options string // of the connection
	}{
		"AppliedWithoutReply": {outcome: projecttest.AppliedWithoutReply},
		"AppliedInterrupted":  {outcome: projecttest.AppliedInterrupted},
		"RolledBack":          {outcome: projecttest.RolledBack},
		"NotPrimary":          {outcome: projecttest.NotPrimary},
		"DirectConnection":    {outcome: projecttest.NotPrimary, options: "?directConnection=true"}, // the driver looks for no other primary
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := projecttest.NewMember(t)
			s := newSeller(t, m.Database(t, c.options))
			for i, w := range laneWrites {
				s.shop.await(t)
				m.StepDownDuring(w, c.outcome)
				s.sellKnownAndNew(t, i)
				projecttest.Await(t, "the process reports that it is degraded", func() bool { return s.shop.Degraded() != nil })
				if err := s.shop.Ready(); err != nil {
					t.Errorf("readiness while the database is unavailable: got %v, want ready", err)
				}
				s.sell(t, slices.Repeat([]string{"A", "B"}, 10)...)
				if c.options != "" {
					projecttest.Await(t, "the member has refused retries", func() bool { return m.Refusals() > 2 })
				}
				projecttest.Await(t, "the lag is reported", func() bool { return s.lag(t) > 0 })
				m.Elect()
			}
			s.shop.await(t)
			if lag := s.lag(t); lag != 0 {
				t.Errorf("lag at the end: got %v, want 0", lag)
			}
			s.check(t)
		})
	}
}

// Row 25 of the fault matrix: another primary is elected before the next command. It lacks the last write, which the old primary
// had acknowledged for itself alone.
func TestNewPrimaryLacksLastWrite(t *testing.T) {
	t.Parallel()
	m := projecttest.NewMember(t)
	s := newSeller(t, m.Database(t, ""))
	for i, w := range laneWrites {
		s.shop.await(t)
		m.ReplaceDuring(w)
		s.sellKnownAndNew(t, i)
	}
	s.shop.await(t)
	s.check(t)
}

// seller appends events to the log of a process that projects and archives them.
type seller struct {
	shop    *process
	metrics *prometheus.Registry
	db      *mongo.Database
	sold    uint64 // number of events
}

func newSeller(t *testing.T, db *mongo.Database) *seller {
	t.Helper()
	s := &seller{db: db, metrics: prometheus.NewRegistry()}
	s.shop = start(t, logtest.Open(t), db, func(c *worker.Config) { c.Registerer = s.metrics })
	for i := range laneWrites {
		s.sell(t, fmt.Sprintf("KNOWN%d", i))
	}
	s.shop.await(t)
	return s
}

// lag returns the sum of the lag metric over all lanes.
func (s *seller) lag(t *testing.T) (lag float64) {
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

// sellKnownAndNew sells two SKUs that are never sold again, because a later write would hide the loss of an earlier one.
func (s *seller) sellKnownAndNew(t *testing.T, i int) {
	t.Helper()
	s.sell(t, fmt.Sprintf("KNOWN%d", i), fmt.Sprintf("NEW%d", i))
}

// sell appends one event about each SKU.
func (s *seller) sell(t *testing.T, skus ...string) {
	t.Helper()
	for _, sku := range skus {
		adjust(t, s.shop.log, sku, 1)
		s.sold++
	}
}

// check fails the test unless log and archive have every event once and the documents equal a fresh fold of the log.
func (s *seller) check(t *testing.T) {
	t.Helper()
	if got := projecttest.End(t, s.shop.log); got != s.sold {
		t.Errorf("events in the log: got %d, want %d", got, s.sold)
	}
	projecttest.CheckArchive(t, s.shop.log, s.db)
	s.shop.awaitCheckpoint(t)
	if report := rebuild(t, s.shop.log, s.db, true); report.Drifted() > 0 {
		t.Errorf("rebuild: got %+v, want no drift", report)
	}
}

// Row 25 of the fault matrix: the primary of a real replica set steps down three times while the lanes write. TEST_MONGODB_URI must
// name the replica set, with the right to make it step down, and TEST_MONGODB_FAILOVER confirms that it has no other users.
func TestReplicaSetFailover(t *testing.T) {
	if os.Getenv("TEST_MONGODB_URI") == "" || os.Getenv("TEST_MONGODB_FAILOVER") == "" {
		t.Skip("needs a replica set in TEST_MONGODB_URI and TEST_MONGODB_FAILOVER=1; TestPrimaryStepsDownDuringWrite covers this with a proxy")
	}
	db := projecttest.Database(t)
	if primaryOf(t, db).SetName == "" {
		t.Fatal("TEST_MONGODB_URI names a server without a replica set, which cannot fail over")
	}
	s := newSeller(t, db)
	for i := range 3 {
		s.sell(t, slices.Repeat([]string{"A", fmt.Sprintf("BEFORE%d", i)}, 10)...)
		before := primaryOf(t, db).ElectionID
		var stepping sync.WaitGroup
		stepping.Go(func() { stepDown(t, db) })
		s.sell(t, slices.Repeat([]string{"A", fmt.Sprintf("DURING%d", i)}, 100)...)
		stepping.Wait()
		projecttest.Await(t, "a new primary is elected", func() bool { return primaryOf(t, db).ElectionID != before })
		s.sell(t, slices.Repeat([]string{"A", fmt.Sprintf("AFTER%d", i)}, 10)...)
		s.shop.await(t)
	}
	s.check(t)
}

// stepDown makes the primary step down for five seconds, even if no other member can be elected. The same member may be elected
// again.
func stepDown(t *testing.T, db *mongo.Database) {
	t.Helper()
	err := db.Client().Database("admin").RunCommand(t.Context(),
		bson.D{{Key: "replSetStepDown", Value: 5}, {Key: "secondaryCatchUpPeriodSecs", Value: 2}, {Key: "force", Value: true}}).Err()
	if err != nil && !mongo.IsNetworkError(err) { // before MongoDB 4.2 the reply is a closed connection
		t.Errorf("step down: %v", err)
	}
}

// primary is the reply of a primary to hello.
type primary struct {
	SetName    string        `bson:"setName"`
	Writable   bool          `bson:"isWritablePrimary"`
	ElectionID bson.ObjectID `bson:"electionId"` // a new one after each election
}

// primaryOf waits until a primary replies: directly after a step-down the driver may still ask the old one.
func primaryOf(t *testing.T, db *mongo.Database) (p primary) {
	t.Helper()
	projecttest.Await(t, "a primary replies", func() bool {
		p = primary{}
		err := db.Client().Database("admin").RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&p)
		return err == nil && p.Writable
	})
	return p
}
