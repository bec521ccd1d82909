package invariants

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/events"
)

// intent is the part of a PaymentIntent that is compared (docs.stripe.com/api/payment_intents/object).
type intent struct {
	ID             string            `json:"id"`
	AmountReceived int64             `json:"amount_received"`
	Currency       string            `json:"currency"`
	Status         string            `json:"status"`
	Created        int64             `json:"created"`
	Metadata       map[string]string `json:"metadata"`
}

// order returns the order that the PaymentIntent names, "" if it names none. Other programs name their orders in the same way.
func (i intent) order() string { return i.Metadata["order_id"] }

// ofTillstream reports whether a shop like this one created the PaymentIntent: the id of its payment is derived from that of its order.
func (i intent) ofTillstream() bool {
	return i.order() != "" && i.Metadata["payment_id"] == events.FirstPaymentID(i.order())
}

// money returns an amount of the PaymentIntent.
func (i intent) money(amount int64) events.Money {
	return events.Money{Amount: amount, Currency: strings.ToUpper(i.Currency)}
}

// account is what Stripe has about the shop's orders.
type account struct {
	intents  int
	of       map[string]string // order id → PaymentIntent id
	unlogged []intent          // of which Stripe has captured more than the part of the log that was read
	unknown  []intent          // captured at Stripe for an order that is not in the log
}

// checkStripe is I2 at Stripe: one PaymentIntent per order, with the captured amount of the log.
func (c *checker) checkStripe(ctx context.Context) error {
	if c.StripeKey == "" || c.StripeURL == "" {
		c.skipped[CapturedOnce] = "Stripe (pass --stripe-secret-key and --stripe)"
		return nil
	}
	a := account{of: map[string]string{}}
	// A PaymentIntent that was created after the log was read is no finding.
	before := c.Now().Add(-c.Settle).Unix()
	for after := ""; ; {
		page, more, err := c.listIntents(ctx, after)
		if err != nil {
			return err
		}
		for _, i := range page {
			c.compareIntent(&a, i, before)
		}
		if c.done.Add(uint64(len(page))); !more || len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
	}
	if err := c.findUnlogged(ctx, a.unlogged); err != nil {
		return err
	}
	if err := c.findUnknown(ctx, a.unknown); err != nil {
		return err
	}
	c.findNeverCharged(a)
	c.scopes[CapturedOnce] += ", " + output.Count(a.intents, "PaymentIntent") + " at Stripe"
	return nil
}

// compareIntent compares a PaymentIntent with the order that it is for. One without an order, or with that of another program which
// shares the account, is passed over. An order that is not in the log counts if a shop like this one created the PaymentIntent: the
// log may be a restored copy that lacks the order.
func (c *checker) compareIntent(a *account, i intent, before int64) {
	id := i.order()
	o, ok := c.ledger.orders[id]
	if !ok && !i.ofTillstream() {
		return
	}
	a.intents++
	if other, ok := a.of[id]; ok {
		c.findCharge(id, "has two PaymentIntents at Stripe, %s and %s", other, i.ID)
	}
	a.of[id] = i.ID
	switch {
	case !ok && (i.AmountReceived == 0 || i.Created >= before):
		return
	case !ok:
		a.unknown = append(a.unknown, i)
	case o.payment.captured == 0 && c.recent(o):
		return // may have been captured after the log was read
	case o.payment.intent != "" && o.payment.intent != i.ID:
		c.findCharge(id, "has PaymentIntent %s in the log, %s at Stripe", o.payment.intent, i.ID)
	case i.AmountReceived > o.payment.captured:
		a.unlogged = append(a.unlogged, i)
	case i.AmountReceived != o.payment.captured:
		c.findDifferent(id, o, i)
	case i.AmountReceived > 0 && !strings.EqualFold(i.Currency, o.payment.currency):
		c.findDifferent(id, o, i)
	}
}

func (c *checker) findCharge(id, format string, args ...any) {
	c.ledger.find(CapturedOnce, "order "+id, fmt.Sprintf(format, args...))
}

func (c *checker) findDifferent(id string, o *order, i intent) {
	c.findCharge(id, "captured %s in the log, %s at Stripe (%s is %s)", o.capturedMoney(), i.money(i.AmountReceived), i.ID, i.Status)
}

// findUnlogged reads the orders again of which Stripe captured more than the log says. If it was captured after the log was read, the
// order has moved since, and there is no finding.
func (c *checker) findUnlogged(ctx context.Context, unlogged []intent) error {
	again := unlogged[:min(len(unlogged), maxReread)]
	ids := make([]string, 0, len(again))
	for _, i := range again {
		ids = append(ids, i.order())
	}
	slices.Sort(ids)
	fresh, err := c.reread(ctx, slices.Compact(ids)) // the broker refuses a subject that is named twice
	if err != nil {
		return err
	}
	for _, i := range unlogged {
		o, ok := fresh.orders[i.order()]
		if !ok {
			o = c.ledger.orders[i.order()]
		}
		if o.payment.captured != i.AmountReceived && !c.recent(o) {
			c.findDifferent(i.order(), o, i)
		}
	}
	return nil
}

// findNeverCharged finds captures in the log without a PaymentIntent at Stripe.
func (c *checker) findNeverCharged(a account) {
	for id, o := range c.ledger.orders {
		if _, known := a.of[id]; o.payment.captured > 0 && !known {
			c.findCharge(id, "captured %s in the log, but Stripe has no PaymentIntent for it", o.capturedMoney())
		}
	}
}

// findUnknown finds money that Stripe captured, and has not refunded, for orders that are not in the log. After a restore the
// log lacks the orders that were placed since the backup; staff refund them in Stripe's dashboard.
func (c *checker) findUnknown(ctx context.Context, unknown []intent) error {
	for _, i := range unknown {
		refunded, err := c.refunded(ctx, i.ID)
		if err != nil {
			return err
		}
		if refunded < i.AmountReceived {
			c.findCharge(i.order(), "is not in the log, and Stripe took %s under %s", i.money(i.AmountReceived-refunded), i.ID)
		}
	}
	return nil
}

// refunded returns the refunded amount of a PaymentIntent, from the first page of its refunds.
func (c *checker) refunded(ctx context.Context, intentID string) (amount int64, err error) {
	var answer struct {
		Data []struct {
			Amount int64  `json:"amount"`
			Status string `json:"status"`
		} `json:"data"`
	}
	if err := c.list(ctx, "refunds", url.Values{"payment_intent": {intentID}}, &answer); err != nil {
		return 0, err
	}
	for _, r := range answer.Data {
		if r.Status != "failed" && r.Status != "canceled" {
			amount += r.Amount
		}
	}
	return amount, nil
}

// listIntents fetches a page of PaymentIntents, newest first.
func (c *checker) listIntents(ctx context.Context, after string) (page []intent, more bool, err error) {
	query := url.Values{}
	if after != "" {
		query.Set("starting_after", after)
	}
	var answer struct {
		Data    []intent `json:"data"`
		HasMore bool     `json:"has_more"`
	}
	err = c.list(ctx, "payment_intents", query, &answer)
	return answer.Data, answer.HasMore, err
}

// list fetches a page of Stripe's objects of one kind.
func (c *checker) list(ctx context.Context, objects string, query url.Values, answer any) error {
	query.Set("limit", "100")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	body, err := c.get(ctx, c.StripeURL+"/v1/"+objects+"?"+query.Encode(), c.StripeKey)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("decode %s of %s: %w", objects, c.StripeURL, err)
	}
	return nil
}
