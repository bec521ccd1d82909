package view_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
)

// flush is what a view writes for a batch, in this order: its events, how far the archive goes, new items, known items.
var flush = []write{{"insert", "stock_archive"}, {"update", "stock_archive"}, {"insert", "stock"}, {"update", "stock"}}

// Row 25 of the fault matrix: the primary steps down in each of the writes that a view makes, and whatever becomes of that
// write, the archive has every event once and the documents are the log's. A wire before FerretDB behaves as a replica set
// does: [TestAReplicaSetFailsOver] wants a real one.
func TestAPrimaryStepsDown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fate    fate
		options string // of the address
	}{
		"DoneAndUnanswered":  {fate: doneUnanswered},
		"DoneAndInterrupted": {fate: doneInterrupted},
		"DoneAndRolledBack":  {fate: doneRolledBack},
		"NotDone":            {fate: notDone},
		"AskedAllTheSame":    {fate: notDone, options: "?directConnection=true"}, // by a driver that looks for no primary
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMember(t)
			s := newShopkeeper(t, m.database(t, c.options))
			for i, w := range flush {
				s.caughtUp(t)
				m.stepDownDuring(w, c.fate)
				s.sellsAKnownAndANew(t, i)
				await(t, "the view says what keeps it", func() bool { return s.view.Ready() != nil })
				s.sells(t, slices.Repeat([]string{"A", "B"}, 10)...)
				if c.options != "" {
					await(t, "it refuses what it is asked again and again", func() bool { return m.refusals() > 2 })
				}
				if i == len(flush)-1 { // only once, for it takes up to two seconds to be counted
					await(t, "the view says that it is behind", func() bool { return s.view.Lag() > 0 })
				}
				m.elect()
			}
			s.caughtUp(t)
			await(t, "the view says that it is behind no more", func() bool { return s.view.Lag() == 0 })
			s.isRemembered(t)
		})
	}
}

// Row 25 of the fault matrix: there is another primary before anything more is asked, and what the old one said it had
// written, to itself alone, is gone.
func TestAPrimaryTakesItsWritesWithIt(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	s := newShopkeeper(t, m.database(t, ""))
	for i, w := range flush {
		s.caughtUp(t)
		m.stepDownDuring(w, func(asked message, carryOut func() (message, error)) (message, error) {
			m.elect()
			return doneRolledBack(asked, carryOut)
		})
		s.sellsAKnownAndANew(t, i)
	}
	s.caughtUp(t)
	s.isRemembered(t)
}

// shopkeeper moves stock, and has a view that remembers it.
type shopkeeper struct {
	log   *log.Log
	view  *view.Rememberer
	db    *mongo.Database
	moved uint64 // how often
}

func newShopkeeper(t *testing.T, db *mongo.Database) *shopkeeper {
	t.Helper()
	l := logtest.Open(t)
	s := &shopkeeper{log: l, db: db, view: view.New(l, stockView(), view.Config{DB: db, Window: 20 * time.Millisecond})}
	keep(t, s.view)
	for i := range flush {
		s.sells(t, fmt.Sprintf("KNOWN%d", i))
	}
	await(t, "the first events are handled", acknowledged(t, l))
	return s
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
		move(t, s.log, item, 1)
		s.moved++
	}
}

// caughtUp waits until everything is written, and the view says so.
func (s *shopkeeper) caughtUp(t *testing.T) {
	t.Helper()
	await(t, "caught up", func() bool { return floor(t, s.log) == s.moved && s.view.Ready() == nil })
}

// isRemembered checks that the archive has every event once, and that the documents are what a fresh fold gives.
func (s *shopkeeper) isRemembered(t *testing.T) {
	t.Helper()
	if got := len(messages(t, s.log)); uint64(got) != s.moved {
		t.Errorf("%d events in the log, want %d", got, s.moved)
	}
	archiveIsTheLog(t, s.log, s.db)
	s.archiveHasNothingTwice(t)
	if report := rebuild(t, s.log, s.db, true); report.Drifted() > 0 {
		t.Errorf("the documents are not the fold of the log: %+v", report)
	}
}

// archiveHasNothingTwice looks at the chunks themselves: who reads the archive passes over what overlaps.
func (s *shopkeeper) archiveHasNothingTwice(t *testing.T) {
	t.Helper()
	head, err := view.ReadArchiveHead(t.Context(), s.db.Collection("stock_archive"), events.StreamInventory)
	if err != nil || head.Last != s.moved {
		t.Errorf("head %+v (%v), want it at %d", head, err, s.moved)
	}
	type chunk struct {
		ID   string `bson:"_id"`
		Last uint64 `bson:"last"`
	}
	chunks := slices.DeleteFunc(all[chunk](t, s.db, "stock_archive"), func(c chunk) bool { return c.ID == head.ID })
	slices.SortFunc(chunks, func(a, b chunk) int { return cmp.Compare(a.ID, b.ID) })
	for i, next := 0, uint64(1); i < len(chunks); i++ {
		if want := fmt.Sprintf("%s/%012d", events.StreamInventory, next); chunks[i].ID != want {
			t.Errorf("chunk %s stands where %s should", chunks[i].ID, want)
		}
		next = chunks[i].Last + 1
	}
}

// Row 25 of the fault matrix: a real replica set whose primary steps down while the view writes, three times. It wants
// TEST_MONGODB_URI to name one, with the right to make it step down, and TEST_MONGODB_FAILOVER to say that nobody else uses
// it meanwhile.
func TestAReplicaSetFailsOver(t *testing.T) {
	if os.Getenv("TEST_MONGODB_URI") == "" || os.Getenv("TEST_MONGODB_FAILOVER") == "" {
		t.Skip("TEST_MONGODB_FAILOVER=1 makes the replica set of TEST_MONGODB_URI fail over: else only TestAPrimaryStepsDown shows this")
	}
	db := viewtest.Database(t)
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
		s.caughtUp(t)
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
