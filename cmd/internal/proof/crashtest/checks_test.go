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

// history reads the events under a prefix of subjects: all of them, or those of some types.
func (c *crowd) history(t *testing.T, prefix string, types ...string) (found []events.Event) {
	t.Helper()
	reader, done, err := c.deployment.shop.Log(t.Context())
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

// awaitMailSent waits until the log has the result of a shopper's mail. Mail of a dead process is taken over after half a minute.
func (c *crowd) awaitMailSent(t *testing.T, s *shopper) {
	t.Helper()
	reader, done, err := c.deployment.shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	subject, err := events.Subject(events.PrefixNotification, s.id)
	if err != nil {
		t.Fatal(err)
	}
	proc.WaitFor(t, "the mail is recorded as sent", time.Minute, func() bool {
		newest, err := reader.Newest(t.Context(), subject)
		if err != nil && !errors.Is(err, replay.ErrNotFound) {
			t.Fatal(err)
		}
		return newest.Header.Get(events.HeaderType) == "notifications.sent"
	})
}

// repeatable are event types that may occur more than once per order.
var repeatable = []string{"payments.declined", "payments.webhook_received", "notifications.sending"}

// factOf names what an event is about besides its subject: a mail, or a booking at Stripe. An order has one mail about each outcome.
func factOf(e events.Event) string {
	switch p := e.Payload.(type) {
	case events.MessageQueued:
		return p.MessageID
	case events.MessageSent:
		return p.MessageID
	case events.PaymentBalanceRecorded:
		return p.Transaction
	}
	return ""
}

// checkNoDuplicates expects every other event type once per order, mail and booking.
func (c *crowd) checkNoDuplicates(t *testing.T) {
	t.Helper()
	counts := map[string]int{}
	for _, prefix := range []string{events.PrefixOrder, events.PrefixReservation, events.PrefixPayment, events.PrefixNotification} {
		for _, e := range c.history(t, prefix) {
			if e.Subject != events.SubjectWebhooks && !slices.Contains(repeatable, e.Type) {
				counts[e.Subject+" "+e.Type+" "+factOf(e)]++
			}
		}
	}
	if len(counts) < 5*len(payers(c.shoppers)) {
		t.Errorf("%d shoppers: got only %d events", len(payers(c.shoppers)), len(counts))
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		if counts[what] > 1 {
			t.Errorf("%s: got %d events, want 1", what, counts[what])
		}
	}
}

// awaitProjection waits until the projection has every order at its last event.
func (c *crowd) awaitProjection(t *testing.T) {
	t.Helper()
	db, done, err := c.deployment.shop.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	withLog := map[string]uint64{} // order → sequence of its last event
	for _, e := range c.history(t, events.PrefixOrder) {
		id, _ := events.ParseSubject(events.PrefixOrder, e.Subject)
		withLog[id] = e.Sequence
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
		return maps.Equal(withLog, projected)
	}
	defer func() {
		if diff := cmp.Diff(withLog, projected); diff != "" {
			t.Errorf("last sequence of each order (-log +projection):\n%s", diff)
		}
	}()
	proc.WaitFor(t, "the projection has every order", 30*time.Second, caughtUp)
}

// valueOf returns the value of a metric in Prometheus text format.
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
	return 0 // a counter may be missing until it is incremented
}
