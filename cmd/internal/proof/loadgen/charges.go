package loadgen

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/events"
	"tillstream/payments/sandbox"
)

// Charges record what the shopper of each order has paid and got back, for comparison with Stripe.
type Charges struct {
	expected  map[string]charge // by order id
	unpayable int
}

// charge is the money of one order.
type charge struct {
	captured events.Money
	refunded int64
	captures int
}

// Observe records one purchase; see [Run]. Nothing is expected of a purchase that failed.
func (c *Charges) Observe(p Purchase) {
	if c.expected == nil {
		c.expected = map[string]charge{}
	}
	switch {
	case p.Order.ID == "" || p.Err != nil && !isKind(p.Err, OutOfStock):
	case p.Err != nil, p.Cancelled, p.Left:
		c.expected[p.Order.ID] = charge{}
	case p.Unpayable:
		c.expected[p.Order.ID] = charge{}
		c.unpayable++
	default:
		c.expected[p.Order.ID] = charge{captured: p.Order.Total, refunded: p.Refunded.Amount, captures: 1}
	}
}

// Payments is what Stripe has taken for the orders of a run, compared with what their shoppers have paid.
type Payments struct {
	Orders      int          `json:"orders"` // compared
	Paid        int          `json:"paid"`
	Captured    events.Money `json:"captured"`
	Refunds     int          `json:"refunds"`
	Unpayable   int          `json:"unpayable"` // orders that their shoppers could not pay, because Stripe repeated an error under the idempotency key
	Differences []string     `json:"differences"`

	Recovered int     `json:"recovered"` // events of Stripe that the shop did not learn from a webhook
	CleanS    float64 `json:"clean_s"`   // from the end of the faults until every invariant held
}

// Compare reads the payment intents, the captures and the refunds since a run began. Each order must have what its shopper has paid, in
// one capture.
func (c *Charges) Compare(ctx context.Context, s *Shop, begun time.Time) (*Payments, error) {
	a := account{orders: map[string]string{}, charges: map[string]charge{}}
	err := s.intents(ctx, begun, func(in intent) error {
		if _, ours := c.expected[in.Metadata["order_id"]]; ours {
			return a.addIntent(in)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	captured := sinceRun(begun)
	captured.Set("type", "charge.captured")
	err = list(ctx, s, "events", captured, func(e stripeEvent) string { return e.ID }, func(e stripeEvent) error {
		if e.APIVersion == sandbox.APIVersion { // the same change may have an event in another version
			a.change(e.Data.Object.Intent, func(c *charge) { c.captures++ })
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	refunds, err := s.refunds(ctx, url.Values{})
	if err != nil {
		return nil, err
	}
	for _, r := range refunds {
		a.change(r.Intent, func(c *charge) { c.refunded += r.Amount })
	}
	return c.compare(a.charges)
}

// account is what Stripe has about some orders.
type account struct {
	orders  map[string]string // by payment intent
	charges map[string]charge // by order id
}

// addIntent adds what was captured. An order with two intents has the sum.
func (a account) addIntent(in intent) (err error) {
	id := in.Metadata["order_id"]
	a.orders[in.ID] = id
	if in.AmountReceived > 0 {
		c := a.charges[id]
		c.captured, err = total(c.captured, in.received())
		a.charges[id] = c
	}
	return err
}

// change changes the charge of the order that a payment intent is for, if it is one of these orders.
func (a account) change(intent string, change func(*charge)) {
	if id, ours := a.orders[intent]; ours {
		c := a.charges[id]
		change(&c)
		a.charges[id] = c
	}
}

func (c *Charges) compare(actual map[string]charge) (p *Payments, err error) {
	p = &Payments{Orders: len(c.expected), Unpayable: c.unpayable, Differences: []string{}}
	for _, id := range slices.Sorted(maps.Keys(c.expected)) {
		want, got := c.expected[id], actual[id]
		if got != want {
			p.Differences = append(p.Differences, fmt.Sprintf("order %s: Stripe has %s, want %s", id, got, want))
		}
		if got.captures > 0 {
			p.Paid++
		}
		if got.refunded > 0 {
			p.Refunds++
		}
		if got.captured.IsZero() {
			continue
		}
		if p.Captured, err = total(p.Captured, got.captured); err != nil {
			return nil, fmt.Errorf("sum captures: %w", err)
		}
	}
	return p, nil
}

func (c charge) String() string {
	if c.captured.IsZero() && c.refunded == 0 {
		return "nothing"
	}
	refunded := events.Money{Amount: c.refunded, Currency: c.captured.Currency}
	return fmt.Sprintf("%s in %s, %s refunded", moneyText(c.captured), output.Count(c.captures, "capture"), moneyText(refunded))
}

func (p *Payments) write(to *printer) {
	if p == nil {
		return
	}
	to.line("%s paid: %s captured at Stripe", padded(p.Paid, "order"), moneyText(p.Captured))
	to.line("%s refunded in the dashboard", padded(p.Refunds, "order"))
	if p.Unpayable > 0 {
		to.line("%s could not be paid: Stripe had stored an error under the key of the request", padded(p.Unpayable, "order"))
	}
	to.line("%s of Stripe found by the reconciler, not by a webhook", padded(p.Recovered, "event"))
	to.line("every invariant held %.1f s after the last fault", p.CleanS)
	for i, d := range p.Differences {
		if i == maxDetails {
			to.line("  and %d more", len(p.Differences)-i)
			break
		}
		to.line("DIFFERENT %s", d)
	}
}
