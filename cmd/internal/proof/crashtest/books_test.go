//go:build unix

package crashtest_test

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	"tillstream/events/replay"
)

// facts reads the events of entities, by the prefix of their subjects: all of them, or those of some types.
func (c *crowd) facts(t *testing.T, prefix string, types ...string) (found []events.Event) {
	t.Helper()
	reader, done, err := c.world.shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	err = reader.Each(t.Context(), replay.Range{Subjects: []string{prefix + ">"}}, func(m replay.Message) error {
		e, err := m.Event()
		if err == nil && (len(types) == 0 || slices.Contains(types, e.Type)) {
			found = append(found, e)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// settledMail waits until the log says that a shopper's mail was sent. What a dead process had in hand is taken up half a
// minute later.
func (c *crowd) settledMail(t *testing.T, s *shopper) {
	t.Helper()
	reader, done, err := c.world.shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	subject, err := events.Subject(events.PrefixNotification, s.id)
	if err != nil {
		t.Fatal(err)
	}
	proc.WaitFor(t, "the mail is known to be sent", time.Minute, func() bool {
		newest, err := reader.Newest(t.Context(), subject)
		if err != nil && !errors.Is(err, replay.ErrNotFound) {
			t.Fatal(err)
		}
		return newest.Header.Get(events.HeaderType) == "notifications.sent"
	})
}

// mayRepeat are facts that are true more than once of one order.
var mayRepeat = []string{"payments.declined", "payments.webhook_received", "notifications.sending"}

// saidOnce expects that every fact of an order's life was said once.
func (c *crowd) saidOnce(t *testing.T) {
	t.Helper()
	said := map[string]int{}
	for _, prefix := range []string{events.PrefixOrder, events.PrefixReservation, events.PrefixPayment, events.PrefixNotification} {
		for _, e := range c.facts(t, prefix) {
			if e.Subject != events.SubjectWebhooks && !slices.Contains(mayRepeat, e.Type) {
				said[e.Subject+" "+e.Type]++
			}
		}
	}
	if len(said) < 5*len(payers(c.shoppers)) {
		t.Errorf("%d shoppers left only %d facts", len(payers(c.shoppers)), len(said))
	}
	for _, what := range slices.Sorted(maps.Keys(said)) {
		if said[what] > 1 {
			t.Errorf("%s was said %d times", what, said[what])
		}
	}
}

// remembered waits until the projection has every order as the log has it.
func (c *crowd) remembered(t *testing.T) {
	t.Helper()
	db, done, err := c.world.shop.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	inLog := map[string]uint64{} // order → sequence of its last event
	for _, e := range c.facts(t, events.PrefixOrder) {
		id, _ := events.ParseSubject(events.PrefixOrder, e.Subject)
		inLog[id] = e.Sequence
	}
	var projected map[string]uint64
	caughtUp := func() bool {
		cursor, err := db.Collection("orders").Find(t.Context(), bson.D{})
		if err != nil {
			t.Fatal(err)
		}
		var documents []struct {
			ID  string `bson:"_id"`
			Seq uint64 `bson:"seq"`
		}
		if err := cursor.All(t.Context(), &documents); err != nil {
			t.Fatal(err)
		}
		projected = map[string]uint64{}
		for _, d := range documents {
			projected[d.ID] = d.Seq
		}
		return maps.Equal(inLog, projected)
	}
	defer func() {
		if diff := cmp.Diff(inLog, projected); diff != "" {
			t.Errorf("last sequence of each order (-log +projection):\n%s", diff)
		}
	}()
	proc.WaitFor(t, "the projection has every order", 30*time.Second, caughtUp)
}

// valueOf finds a metric in the text that Prometheus reads.
func valueOf(t *testing.T, text io.Reader, name string) float64 {
	t.Helper()
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			number, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return 0 // a counter that has counted nothing may be missing
}
