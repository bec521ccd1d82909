package payments

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tillstream/events"
)

// disputeAt returns a dispute of the payment of these tests, in a state that Stripe returns.
func disputeAt(status string, bookings int) StripeDispute {
	d := StripeDispute{ID: "dp_1", Charge: "ch_1", PaymentIntent: intent, Status: status, Reason: "fraudulent", Amount: gbp1250,
		EvidenceDue: noon.Add(7 * 24 * time.Hour), Bookings: bookings}
	if bookings > 0 {
		d.Fee = events.Money{Amount: 2000, Currency: "GBP"}
	}
	if bookings == 1 {
		d.Withdrawn = gbp1250
	}
	return d
}

// Row 51 of the fault matrix: a dispute is booked with what Stripe answers now; an older answer, a repeated one and an unknown status
// change nothing.
func TestRecordDispute(t *testing.T) {
	t.Parallel()
	paid := fold(t, factRequested, factIntent, factAuthorized, factCaptured)
	for name, tc := range map[string]struct {
		before []StripeDispute
		now    StripeDispute
		want   string // of the payment's dispute; "" for nothing
		err    error
	}{
		"Inquiry":          {nil, disputeAt(events.DisputeWarningNeedsResponse, 0), events.DisputeWarningNeedsResponse, nil},
		"Opened":           {nil, disputeAt(events.DisputeNeedsResponse, 0), events.DisputeNeedsResponse, nil},
		"Withdrawn":        {[]StripeDispute{disputeAt(events.DisputeNeedsResponse, 0)}, disputeAt(events.DisputeNeedsResponse, 1), events.DisputeNeedsResponse, nil},
		"Repeated":         {[]StripeDispute{disputeAt(events.DisputeNeedsResponse, 1)}, disputeAt(events.DisputeNeedsResponse, 1), "", nil},
		"Escalated":        {[]StripeDispute{disputeAt(events.DisputeWarningClosed, 0)}, disputeAt(events.DisputeNeedsResponse, 1), events.DisputeNeedsResponse, nil},
		"Won":              {[]StripeDispute{disputeAt(events.DisputeUnderReview, 1)}, disputeAt(events.DisputeWon, 2), events.DisputeWon, nil},
		"Lost":             {[]StripeDispute{disputeAt(events.DisputeUnderReview, 1)}, disputeAt(events.DisputeLost, 1), events.DisputeLost, nil},
		"OlderThanWon":     {[]StripeDispute{disputeAt(events.DisputeWon, 2)}, disputeAt(events.DisputeUnderReview, 1), "", nil},
		"NotReinstatedYet": {[]StripeDispute{disputeAt(events.DisputeWon, 2)}, disputeAt(events.DisputeWon, 1), "", nil},
		"Reinstated":       {[]StripeDispute{disputeAt(events.DisputeWon, 1)}, disputeAt(events.DisputeWon, 2), events.DisputeWon, nil},
		"UnknownStatus":    {nil, disputeAt("prearbitration", 1), "", ErrUnknownStatus},
		"UnknownAfterLost": {[]StripeDispute{disputeAt(events.DisputeLost, 1)}, disputeAt("charge_refunded", 1), "", ErrUnknownStatus},
		"OtherIntent":      {nil, StripeDispute{ID: "dp_2", PaymentIntent: "pi_2", Status: events.DisputeLost}, "", ErrUnmatched},
		"OtherMode":        {nil, StripeDispute{ID: "dp_2", PaymentIntent: intent, Status: events.DisputeLost, Livemode: true}, "", ErrMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := paid
			for _, d := range tc.before {
				p = recordDispute(t, p, d)
			}
			facts, err := RecordDispute(p, tc.now, false)
			got := ""
			if len(facts) == 1 {
				got = facts[0].(events.PaymentDisputeUpdated).Status
			}
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

func recordDispute(t testing.TB, p Payment, d StripeDispute) Payment {
	t.Helper()
	facts, err := RecordDispute(p, d, false)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = foldOn(p, facts...); err != nil {
		t.Fatal(err)
	}
	return p
}

// Row 51 of the fault matrix: Stripe's answers about a dispute arrive in any order and repeatedly, and the payment ends in the same
// state.
func TestAnyOrderOfDisputeAnswersEndsTheSame(t *testing.T) {
	t.Parallel()
	paid := fold(t, factRequested, factIntent, factAuthorized, factCaptured)
	rapid.Check(t, func(rt *rapid.T) {
		life := []StripeDispute{disputeAt(events.DisputeWarningNeedsResponse, 0), disputeAt(events.DisputeWarningUnderReview, 0),
			disputeAt(events.DisputeNeedsResponse, 0), disputeAt(events.DisputeNeedsResponse, 1), disputeAt(events.DisputeUnderReview, 1)}
		if rapid.Bool().Draw(rt, "won") {
			life = append(life, disputeAt(events.DisputeWon, 1), disputeAt(events.DisputeWon, 2))
		} else {
			life = append(life, disputeAt(events.DisputeLost, 1))
		}
		inOrder, shuffled := paid, paid
		for _, d := range life {
			inOrder = recordDispute(t, inOrder, d)
		}
		for _, d := range append(rapid.Permutation(life).Draw(rt, "order"), rapid.SliceOfN(rapid.SampledFrom(life), 0, 5).Draw(rt, "again")...) {
			shuffled = recordDispute(t, shuffled, d)
		}
		if diff := cmp.Diff(inOrder.Disputes, shuffled.Disputes); diff != "" {
			rt.Fatalf("in order -, shuffled +:\n%s", diff)
		}
	})
}

// Money that a bank has taken, or may take, cannot be refunded as well. An inquiry takes none.
func TestDisputedMoneyIsNotRefunded(t *testing.T) {
	t.Parallel()
	for status, refundable := range map[string]int64{events.DisputeWarningNeedsResponse: 1250, events.DisputeWarningClosed: 1250, events.DisputeNeedsResponse: 450,
		events.DisputeUnderReview: 450, events.DisputeLost: 450, events.DisputeWon: 1250} {
		d := disputeAt(status, 1)
		d.Amount.Amount = 800
		p := recordDispute(t, fold(t, factRequested, factIntent, factCaptured), d)
		if _, err := RequestRefund(p, "more", events.Money{Amount: refundable + 1, Currency: "GBP"}, "r"); !errors.Is(err, ErrRefundTooLarge) {
			t.Errorf("%s: refund of more than %d: got %v, want %v", status, refundable, err, ErrRefundTooLarge)
		}
		if _, err := RequestRefund(p, "all", events.Money{Amount: refundable, Currency: "GBP"}, "r"); err != nil {
			t.Errorf("%s: refund of %d: got %v, want none", status, refundable, err)
		}
	}
}

// bank is a gateway whose disputes, bookings and payouts the tests set. Everything else is the sandbox's.
type bank struct {
	Gateway
	mu       sync.Mutex
	disputes map[string]StripeDispute
	booked   []BalanceTransaction
	walks    int // how often the bookings were listed
}

func (b *bank) wrap(g Gateway) Gateway {
	b.Gateway, b.disputes = g, map[string]StripeDispute{}
	return b
}

func (b *bank) set(d StripeDispute) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disputes[d.ID] = d
}

func (b *bank) RetrieveDispute(_ context.Context, id string) (StripeDispute, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, ok := b.disputes[id]
	if !ok {
		return d, &GatewayError{Kind: ErrPermanent, Status: http.StatusNotFound, Code: "resource_missing"}
	}
	return d, nil
}

func (b *bank) ListBalance(_ context.Context, q BalanceQuery, fn func(BalanceTransaction) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.walks++
	for _, t := range b.booked {
		if t.Created.Before(q.Since) {
			continue
		}
		if err := fn(t); err != nil {
			return err
		}
	}
	return nil
}

// postDispute posts an event about a dispute.
func (f *fixture) postDispute(kind, id, intent string) {
	f.t.Helper()
	body := fmt.Appendf(nil, `{"id":"evt_dispute_%d","object":"event","api_version":"2023-10-16","created":%d,"livemode":false,"type":%q,"data":{"object":`+
		`{"id":%q,"object":"dispute","status":"needs_response","payment_intent":%q}}}`, posted.Add(1), time.Now().Unix(), kind, id, intent)
	if status := f.postWebhook(body, sign(body, webhookSecret, time.Now())); status != http.StatusOK {
		f.t.Fatalf("post %s: HTTP %d, want 200", kind, status)
	}
}

// Row 51 of the fault matrix: the webhooks of a dispute arrive in the wrong order, and the last one is lost. The payment has what Stripe
// answers, and a dispute of a payment that the shop did not make is passed over.
func TestDisputeIsBookedFromWebhooks(t *testing.T) {
	t.Parallel()
	b := &bank{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: b.wrap})
	orderID, body := f.placeOrder(1250)
	d := disputeAt(events.DisputeUnderReview, 1)
	d.PaymentIntent = body.PaymentIntent
	b.set(d)
	for _, kind := range []string{"funds_withdrawn", "updated", "created"} {
		f.postDispute("charge.dispute."+kind, d.ID, d.PaymentIntent)
	}
	f.postDispute("charge.dispute.created", "dp_foreign", f.foreignIntent())
	f.waitUntil("the dispute is booked", func() bool { return f.payment(orderID).Disputes[d.ID].Status == d.Status })

	d.Status, d.Bookings, d.Withdrawn = events.DisputeWon, 2, events.Money{}
	b.set(d)
	f.waitUntil("the lost webhook's change is booked", func() bool { // the list in memory follows the log
		f.service.cursor.disputes = time.Time{}
		if err := f.service.reconcileDisputes(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f.payment(orderID).Disputes[d.ID].same(d.recorded())
	})
	if got := f.countByType(events.PrefixPayment + events.FirstPaymentID(orderID))["dispute_updated"]; got != 2 {
		t.Errorf("events of the dispute: got %d, want 2", got)
	}
	f.expectNoDeadLetters()
}

// Row 51 of the fault matrix: a dispute with a status that this release does not know becomes a dead letter.
func TestUnknownDisputeStatusIsADeadLetter(t *testing.T) {
	t.Parallel()
	b := &bank{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: b.wrap})
	orderID, body := f.placeOrder(1250)
	d := disputeAt("prearbitration", 1)
	d.PaymentIntent = body.PaymentIntent
	b.set(d)
	f.postDispute("charge.dispute.updated", d.ID, d.PaymentIntent)
	f.waitUntil("the dead letter", func() bool { return len(f.deadLetters()) == 1 })
	if got := f.deadLetters()[0]; !strings.Contains(got.Error, ErrUnknownStatus.Error()) {
		t.Errorf("dead letter: got %q, want %q in it", got.Error, ErrUnknownStatus)
	}
	if got := f.payment(orderID).Disputes; len(got) > 0 {
		t.Errorf("disputes: got %v, want none", got)
	}
}
