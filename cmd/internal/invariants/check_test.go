package invariants_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	eventlog "tillstream/events/log"
)

func TestShopInOrderHasNoFindings(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.everyKind()
	outside := s.serve()
	options := s.options()
	options.Acknowledged = []string{"sold", "short", "slow", "unsure", "returned", "thinking"}
	options.StripeURL, options.StripeKey, options.Mail = outside.URL, "sk_test_1", outside.URL
	report := check(t, options)
	finds(t, report)
	want := map[string]int{"confirmed": 2, "rejected": 1, "expired": 1, "cancelled": 1, "awaiting_payment": 1}
	if diff := cmp.Diff(want, report.Counts.ByStatus); diff != "" {
		t.Errorf("orders by status: -want +got:\n%s", diff)
	}
	if report.Counts.Orders != 6 || report.Counts.Progressing != 1 || report.Counts.SKUs != 1 || report.Counts.Mails != 2 {
		t.Errorf("got counts %+v", report.Counts)
	}
}

func TestEmptyShopHasNoFindings(t *testing.T) {
	t.Parallel()
	finds(t, check(t, newShop(t).options()))
}

// A ledger entry that was published by hand breaks the ledger until it is declared void.
func TestVoidEventIsIgnored(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.publish(events.PrefixStock+"MUG", events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: 7,
		After: events.StockLevel{OnHand: 7, Available: 7}}, Reason: "published by hand"})
	if report := check(t, s.options()); report.OK {
		t.Error("before the void: got no finding, want one")
	}
	last, err := s.reader.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.reader.Get(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventlog.Void(t.Context(), s.reader.Log(), m, events.Author{Actor: "key:ops", Reason: "published by hand"}); err != nil {
		t.Fatal(err)
	}
	finds(t, check(t, s.options()))
}

func TestMailboxMustNotHaveMoreCopiesThanAttempts(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sold("o1")
	s.sold("o2")
	// The log has two attempts for the second mail of o1, so it may be in the mailbox twice. It has one for the mail of o2.
	again := "o1.order_refunded@shop.example"
	s.notify("o1", events.MessageQueued{OrderID: "o1", MessageID: again, Template: "order_refunded", Fact: "f", Facts: []byte("{}")})
	s.notify("o1", events.MessageSending{OrderID: "o1", MessageID: again, Attempt: 1})
	s.notify("o1", events.MessageSending{OrderID: "o1", MessageID: again, Attempt: 2})
	s.notify("o1", events.MessageSent{OrderID: "o1", MessageID: again})
	s.mails = append(s.mails, again, again, "o2.order_confirmed@shop.example")
	options := s.options()
	options.Mail = s.serve().URL + "/mail"
	finds(t, check(t, options), invariants.Finding{Invariant: "I4", Subject: "mail o2.order_confirmed@shop.example",
		Detail: "is in the mailbox 2 times, but the log has 1 attempt"})
}

func TestOpenDeadLettersMustBeExpected(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	open := func(lane string, sequence uint64) {
		s.publish(fmt.Sprintf("%s%s.%d", events.PrefixDeadLetter, lane, sequence),
			events.DeadLettered{Worker: lane, Sequence: sequence, Subject: "orders.x", Error: "bad payload", Fingerprint: "f"})
	}
	open("inventory", 17)
	open("payments.stripe", 18)
	expect := func(texts ...string) invariants.Options {
		options := s.options()
		for _, text := range texts {
			d, err := invariants.ParseDeadLetter(text)
			if err != nil {
				t.Fatal(err)
			}
			options.ExpectedDeadLetters = append(options.ExpectedDeadLetters, d)
		}
		return options
	}
	finds(t, check(t, expect("inventory:17", "payments.stripe:18")))
	finds(t, check(t, expect("inventory:17")),
		invariants.Finding{Invariant: "I8", Subject: "dead letter payments.stripe:18", Detail: "payments.stripe could not handle orders.x at sequence 18: bad payload (ops deadletters show 2)"})
	finds(t, check(t, expect("inventory:17", "payments.stripe:18", "payments.stripe:19")),
		invariants.Finding{Invariant: "I8", Subject: "dead letter payments.stripe:19", Detail: "is expected but does not exist"})
}

func TestParseDeadLetterRefusesOtherText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "lane", "lane:", "lane:x", ":1", "17", "lane:-1"} {
		if d, err := invariants.ParseDeadLetter(text); err == nil {
			t.Errorf("ParseDeadLetter(%q): got %+v, want an error", text, d)
		}
	}
}

func TestMessagesThatAreNotEventsAreCounted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.everyKind()
	for _, subject := range []string{"orders.sold", "payments.webhooks", "inventory.stock.main.MUG"} {
		if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("garbage")}); err != nil {
			t.Fatal(err)
		}
	}
	report := check(t, s.options())
	finds(t, report)
	if report.Counts.Unreadable != 3 {
		t.Errorf("got %d unreadable messages, want 3", report.Counts.Unreadable)
	}
}

// A check that cannot read a part of the shop must not report that all is well.
func TestUnreachablePartsAreErrors(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	options := s.options()
	options.StripeURL, options.StripeKey = s.serve().URL, "sk_wrong"
	if report, err := invariants.Check(t.Context(), options); err == nil || report.OK || !strings.Contains(err.Error(), "401") {
		t.Errorf("Stripe with a wrong key: got %+v, %v; want an error with status 401", report, err)
	}
	options = s.options()
	options.Mail = "http://127.0.0.1:1"
	if report, err := invariants.Check(t.Context(), options); err == nil || report.OK || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("no mailbox: got %+v, %v; want an error that asks whether it is running", report, err)
	}
	if _, err := invariants.Check(t.Context(), invariants.Options{}); err == nil {
		t.Error("no log: got no error, want one")
	}
}
