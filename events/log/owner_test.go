package log_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// promises and receipts are entities of two other domains.
var (
	promises = log.Entity[int]{Prefix: events.PrefixOrder, Apply: count}
	receipts = log.Entity[int]{Prefix: events.PrefixPayment, Apply: count}
	webhooks = log.Journal{Subject: events.SubjectWebhooks}
)

func count(n int, _ events.Event) (int, error) { return n + 1, nil }

// A domain appends under its own prefixes. It may look at everything.
func TestADomainDoesNotAppendForAnother(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	orders, stranger := l.ForDomain("orders"), l.ForDomain("stranger")
	confirmed := events.OrderConfirmed{}
	for name, c := range map[string]struct {
		by     *log.Log
		append func(*log.Tx) error
	}{
		"AnEntity":           {orders, func(tx *log.Tx) error { return add(tx, "a", 1) }},
		"AJournal":           {orders, func(tx *log.Tx) error { return webhooks.Append(tx, events.WebhookReceived{}) }},
		"SpanningDomains":    {orders, func(tx *log.Tx) error { return errors.Join(promises.Append(tx, "o", confirmed), add(tx, "a", 1)) }},
		"AnUnknownDomain":    {stranger, func(tx *log.Tx) error { return promises.Append(tx, "o", confirmed) }},
		"TheDomainItWasLast": {l.ForDomain("inventory"), func(tx *log.Tx) error { tx.ForDomain(orders); return add(tx, "a", 1) }},
	} {
		if err := c.by.Do(t.Context(), c.append); !errors.Is(err, log.ErrNotOwner) {
			t.Errorf("%s: %v, want ErrNotOwner", name, err)
		}
	}
	if n := messages(t, l, events.StreamShop); n != 0 {
		t.Errorf("%d messages in the log, want none", n)
	}
	err := orders.Do(t.Context(), func(tx *log.Tx) error {
		if _, err := tallies.Load(tx, "a"); err != nil {
			return err
		}
		return promises.Append(tx, "o", confirmed)
	})
	if err != nil || orders.Source() != "orders" {
		t.Errorf("%s looks at another domain and appends to its own: %v", orders.Source(), err)
	}
}

// A process that is not told otherwise appends under the prefixes of the domain whose name it has.
func TestAProcessOwnsWhatItsDomainOwns(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t, func(c *log.Config) { c.Source, c.Owns = "orders", nil })
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return promises.Append(tx, "o", events.OrderConfirmed{}) }); err != nil {
		t.Error(err)
	}
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); !errors.Is(err, log.ErrNotOwner) {
		t.Errorf("got %v, want ErrNotOwner", err)
	}
}

// decideTogether has three domains each decide something in one transaction.
func decideTogether(tx *log.Tx, l *log.Log) error {
	tx.ForDomain(l.ForDomain("orders"))
	problem := promises.Append(tx, "o", events.OrderConfirmed{})
	tx.ForDomain(l.ForDomain("inventory"))
	problem = errors.Join(problem, add(tx, "a", 1))
	tx.ForDomain(l.ForDomain("payments"))
	return errors.Join(problem, receipts.Append(tx, "p", events.PaymentCaptured{}), webhooks.Append(tx, events.WebhookReceived{}))
}

// What several domains decide together is stored together, as one batch of the broker, and each says what is its own.
func TestATransactionOfSeveralDomainsIsOneBatch(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return decideTogether(tx, l) }); err != nil {
		t.Fatal(err)
	}
	type fact struct{ Subject, Source, Revision, Place, Last string }
	var got []fact
	batches := map[string]bool{}
	for sequence := range messages(t, l, events.StreamShop) {
		m, err := l.Get(t.Context(), sequence+1)
		if err != nil {
			t.Fatal(err)
		}
		h := func(name string) string { return m.Header.Get(name) }
		got = append(got, fact{m.Subject, h(events.HeaderSource), h(events.HeaderRevision), h(jetstreamext.BatchSeqHeader), h(jetstreamext.BatchCommitHeader)})
		batches[h(jetstreamext.BatchIDHeader)] = true
	}
	want := []fact{
		{"orders.o", "orders", "1", "1", ""},
		{"inventory.stock.main.a", "inventory", "1", "2", ""},
		{"payments.p", "payments", "1", "3", ""},
		{"payments.webhooks", "payments", "", "4", "1"},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(batches) != 1 {
		t.Errorf("%d batches, want one; want -, got +:\n%s", len(batches), diff)
	}
}

// When another writer is faster at one of the entities nothing is stored of what the other domains have decided.
func TestATransactionOfSeveralDomainsIsStoredWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	tx := ours.Begin(t.Context())
	if err := decideTogether(tx, ours); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 5) }); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); !log.IsConflict(err) {
		t.Fatalf("commit after the stock has moved on: %v, want a conflict", err)
	}
	for i := range tx.Len() {
		if at := tx.Sequence(i); at != 0 {
			t.Errorf("%s says that it is stored at %d", tx.Fact(i).Subject, at)
		}
	}
	if n := messages(t, ours, events.StreamShop); n != 1 {
		t.Errorf("%d messages in the log, want the faster one alone", n)
	}
	if err := ours.Do(t.Context(), func(tx *log.Tx) error { return decideTogether(tx, ours) }); err != nil {
		t.Fatal(err)
	}
	got, seq, err := tallies.Read(t.Context(), theirs, "a")
	if err != nil || got != (tally{Events: 2, Sum: 6}) || seq != 3 {
		t.Errorf("decided anew: %+v at %d, %v; want 2 events, the last at 3", got, seq, err)
	}
}
