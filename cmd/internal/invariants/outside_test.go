package invariants_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

func TestStripeIsCompared(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*shop)
		want   []invariants.Finding
	}{
		{"TookMore", func(s *shop) { s.taken[0]["amount_received"] = 2 * price },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "captured 1250 by the log, 2500 by Stripe (pi_sold is succeeded)"}}},
		{"TookNothing", func(s *shop) { s.taken[0]["amount_received"] = 0 },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "captured 1250 by the log, 0 by Stripe (pi_sold is succeeded)"}}},
		{"TookOtherCurrency", func(s *shop) { s.taken[0]["currency"] = "jpy" },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "captured GBP by the log, jpy by Stripe"}}},
		{"DoesNotKnowIt", func(s *shop) { s.taken = s.taken[1:] },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "captured 1250 by the log, and Stripe has no intent of it"}}},
		{"TwoIntents", func(s *shop) { s.atStripe("pi_sold", "sold", price) },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "has two intents at Stripe, pi_sold and pi_sold"}}},
		{"OtherIntent", func(s *shop) { s.taken[0]["id"] = "pi_x" },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "has the intent pi_sold, at Stripe pi_x"}}},
		{"MoneyOfNobody", func(s *shop) { s.atStripe("pi_y", "ghost", 7) },
			[]invariants.Finding{{Invariant: "I2", Subject: "order ghost", Detail: "is not in the log, and Stripe took 7 gbp under pi_y"}}},
		{"MoneyOfNobodyThatWentBack", func(s *shop) { s.atStripe("pi_y", "ghost", 7); s.giveBack("pi_y", 7, "succeeded") }, nil},
		{"MoneyOfNobodyThatWentBackInPart", func(s *shop) {
			s.atStripe("pi_y", "ghost", 7)
			s.giveBack("pi_y", 3, "pending")
			s.giveBack("pi_y", 4, "failed")
		}, []invariants.Finding{{Invariant: "I2", Subject: "order ghost", Detail: "is not in the log, and Stripe took 4 gbp under pi_y"}}},
		{"UntakenOfNobody", func(s *shop) { s.atStripe("pi_y", "ghost", 0) }, nil},
		{"OfAnotherShop", func(s *shop) {
			s.atStripe("pi_y", "", 7)
		}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.everyEnd()
			test.change(s)
			options := s.options()
			options.StripeURL, options.StripeKey = s.outside().URL, "sk_test_1"
			finds(t, check(t, options), test.want...)
		})
	}
}

func TestMailboxIsCompared(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sell("o1")
	s.sell("o2")
	// A mail of o1's is on record as tried twice, so its second copy is the repeat that was announced; o2's is not.
	again := "o1.order_refunded@shop.example"
	s.notify("o1", events.MessageQueued{OrderID: "o1", MessageID: again, Template: "order_refunded", Fact: "f", Facts: []byte("{}")})
	s.notify("o1", events.MessageSending{OrderID: "o1", MessageID: again, Attempt: 1})
	s.notify("o1", events.MessageSending{OrderID: "o1", MessageID: again, Attempt: 2})
	s.notify("o1", events.MessageSent{OrderID: "o1", MessageID: again})
	s.mails = append(s.mails, again, again, "o2.order_confirmed@shop.example")
	options := s.options()
	options.Mail = s.outside().URL + "/mail"
	finds(t, check(t, options), invariants.Finding{Invariant: "I4", Subject: "mail o2.order_confirmed@shop.example",
		Detail: "is in the mailbox 2 times, and the log knows of 1 attempts"})
}

// A check that could not look must not say that all is well.
func TestWhatCannotBeAskedIsAnError(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	options := s.options()
	options.StripeURL, options.StripeKey = s.outside().URL, "sk_wrong"
	if report, err := invariants.Check(t.Context(), options); err == nil || report.OK || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %+v, %v; want the refusal", report, err)
	}
	options = s.options()
	options.Mail = "http://127.0.0.1:1"
	if report, err := invariants.Check(t.Context(), options); err == nil || report.OK || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("got %+v, %v; want an error that asks whether it runs", report, err)
	}
	if _, err := invariants.Check(t.Context(), invariants.Options{}); err == nil {
		t.Error("without a log: want an error")
	}
}

func TestDeadLettersMustBeWhatIsExpected(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	bury := func(lane string, sequence uint64) {
		s.say(fmt.Sprintf("%s%s.%d", events.PrefixDeadLetter, lane, sequence),
			events.DeadLettered{Worker: lane, Sequence: sequence, Subject: "orders.x", Error: "bad payload", Fingerprint: "f"})
	}
	bury("inventory", 17)
	bury("payments.stripe", 18)
	expect := func(texts ...string) invariants.Options {
		options := s.options()
		for _, text := range texts {
			d, err := invariants.ParseDeadLetter(text)
			if err != nil {
				t.Fatal(err)
			}
			options.ExpectedDead = append(options.ExpectedDead, d)
		}
		return options
	}
	finds(t, check(t, expect("inventory:17", "payments.stripe:18")))
	finds(t, check(t, expect("inventory:17")),
		invariants.Finding{Invariant: "I8", Subject: "dead letter payments.stripe:18", Detail: "payments.stripe could not handle orders.x at 18: bad payload"})
	finds(t, check(t, expect("inventory:17", "payments.stripe:18", "payments.stripe:19")),
		invariants.Finding{Invariant: "I8", Subject: "dead letter payments.stripe:19", Detail: "was expected and is not there"})
}

func TestParseDeadLetterRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "lane", "lane:", "lane:x", ":1", "17", "lane:-1"} {
		if d, err := invariants.ParseDeadLetter(text); err == nil {
			t.Errorf("%q is read as %+v", text, d)
		}
	}
}

// What is no event of ours is counted, and folds into nothing.
func TestGarbageIsCounted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.everyEnd()
	for _, subject := range []string{"orders.sold", "payments.webhooks", "inventory.stock.main.MUG"} {
		if _, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("garbage")}); err != nil {
			t.Fatal(err)
		}
	}
	report := check(t, s.options())
	finds(t, report)
	if report.Counts.Unreadable != 3 {
		t.Errorf("%d unreadable, want 3", report.Counts.Unreadable)
	}
}

// A shopper who thought for a while pays between the reading of the log and the asking of Stripe. What looks wrong then is
// read again, and is a purchase of this moment; that Stripe took what nobody has asked for stays a finding.
func TestPaidWhileStripeIsAsked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pay  func(*shop)
		want []invariants.Finding
	}{
		"ByTheShop": {func(s *shop) { s.capture("o1", gbp(price)) }, nil},
		"ByStripeAlone": {func(s *shop) { s.atStripe("pi_o1", "o1", price) },
			[]invariants.Finding{{Invariant: "I2", Subject: "order o1", Detail: "captured 0 by the log, 1250 by Stripe (pi_o1 is succeeded)"}}},
		"TwiceByStripeAlone": {func(s *shop) { s.atStripe("pi_x", "o2", price); s.atStripe("pi_y", "o2", price) },
			[]invariants.Finding{{Invariant: "I2", Subject: "order o2", Detail: "has two intents at Stripe, pi_x and pi_y"},
				{Invariant: "I2", Subject: "order o2", Detail: "captured 0 by the log, 1250 by Stripe (pi_x is succeeded)"},
				{Invariant: "I2", Subject: "order o2", Detail: "captured 0 by the log, 1250 by Stripe (pi_y is succeeded)"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.await("o1", time.Now().Add(time.Hour))
			s.place("o2")
			s.hold("o2")
			s.order("o2", events.OrderAwaitingPayment{OrderID: "o2", Amount: gbp(price), ExpiresAt: time.Now().Add(time.Hour)})
			options := s.options()
			options.StripeURL, options.StripeKey = s.outside().URL, "sk_test_1"
			var paid time.Time // what was said until then is old, what is said afterwards is not
			options.Now = func() time.Time {
				if paid.IsZero() {
					return time.Now().Add(2 * time.Minute)
				}
				return paid.Add(time.Minute)
			}
			options.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if paid.IsZero() {
					paid = time.Now()
					test.pay(s)
				}
				return http.DefaultTransport.RoundTrip(r)
			})}
			finds(t, check(t, options), test.want...)
		})
	}
}

// roundTrip is a transport that does something else first.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
