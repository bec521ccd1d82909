package redelivery_test

import (
	"strings"
	"testing"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/proof/redelivery"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

var histories = eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// Row 56 of the fault matrix: events of a new order change nothing that was there before. An event of an earlier order does, and is named.
func TestOnlyEventsOfEarlierOrdersAreAChange(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server).ForDomain("orders")
	reader, err := replay.Open(t.Context(), logtest.Connect(t, server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	store := func(id string, fact events.Payload) {
		t.Helper()
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			tx.WithCorrelation(id)
			return histories.Append(tx, id, fact)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	store("old", events.OrderPlaced{OrderID: "old"})
	before, err := redelivery.Take(t.Context(), redelivery.Shop{Log: reader})
	if err != nil || before.Last() != 1 {
		t.Fatalf("got a snapshot at %d (%v), want 1", before.Last(), err)
	}
	store("new", events.OrderPlaced{OrderID: "new"})
	same, err := before.Compare(t.Context())
	if broken := same.Broken(); err != nil || len(broken) > 0 || same.Live != 1 || same.States.N != 1 {
		t.Errorf("after an event of a new order: got %+v (%v), broken %v; want it the same", same, err, broken)
	}
	store("old", events.OrderExpired{})
	changed, err := before.Compare(t.Context())
	if err != nil || changed.States.Before == changed.States.After {
		t.Errorf("after an event of the old order: got %+v (%v), want another hash", changed, err)
	}
	broken := strings.Join(changed.Broken(), "\n")
	for _, want := range []string{"event 3 orders.expired on orders.old", "orders.jsonl orders.old", "hash of the entities"} {
		if !strings.Contains(broken, want) {
			t.Errorf("got %q, want it to name %q", broken, want)
		}
	}
}

func TestWhatWasDoneTwiceOutsideIsNamed(t *testing.T) {
	t.Parallel()
	before := invariants.Effects{Money: map[string]string{"pi_1": "500", "re_1": "500"}, Mails: map[string]int{"m1": 1}}
	for name, c := range map[string]struct {
		money map[string]string
		mails map[string]int
		want  string // the only broken promise; empty: none
	}{
		"Same":         {map[string]string{"pi_1": "500", "re_1": "500"}, map[string]int{"m1": 1}, ""},
		"LiveOrder":    {map[string]string{"pi_1": "500", "re_1": "500", "pi_2": "700"}, map[string]int{"m1": 1, "m2": 1}, ""},
		"ChargedMore":  {map[string]string{"pi_1": "1000", "re_1": "500"}, map[string]int{"m1": 1}, "1 PaymentIntents or refunds that changed: pi_1"},
		"Refunded":     {map[string]string{"pi_1": "500", "re_1": "500", "re_2": "500"}, map[string]int{"m1": 1}, "1 new refunds: re_2"},
		"ChargedAgain": {map[string]string{"pi_1": "500", "re_1": "500", "pi_2": "500", "pi_3": "500"}, map[string]int{"m1": 1}, "2 PaymentIntents for 1 order"},
		"MailedAgain":  {map[string]string{"pi_1": "500", "re_1": "500"}, map[string]int{"m1": 2}, "1 mails with another number of copies: m1"},
		"MailedMore":   {map[string]string{"pi_1": "500", "re_1": "500"}, map[string]int{"m1": 1, "m2": 1, "m3": 1}, "2 mails for 1 order"},
		"MailedTwice":  {map[string]string{"pi_1": "500", "re_1": "500"}, map[string]int{"m1": 1, "m2": 2}, "mail m2 was sent 2 times"},
		"MailLost":     {map[string]string{"pi_1": "500", "re_1": "500"}, map[string]int{}, "1 mails with another number of copies: m1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := redelivery.BrokenOutside(before, invariants.Effects{Money: c.money, Mails: c.mails}, 1)
			if got := strings.Join(broken, "\n"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
