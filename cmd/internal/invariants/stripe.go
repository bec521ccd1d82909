package invariants

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// intent is what is read of a PaymentIntent (docs.stripe.com/api/payment_intents/object).
type intent struct {
	ID             string            `json:"id"`
	AmountReceived int64             `json:"amount_received"`
	Currency       string            `json:"currency"`
	Status         string            `json:"status"`
	Created        int64             `json:"created"`
	Metadata       map[string]string `json:"metadata"`
}

// order is whose intent it is, "" when it is none of ours.
func (i intent) order() string { return i.Metadata["order_id"] }

// account is what Stripe has of our orders.
type account struct {
	intents int
	of      map[string]string // order → its intent
	unasked []intent          // Stripe took money of which the log that was read says nothing
	unknown []intent          // Stripe took money for an order that is not in the log
}

// askStripe is I2 at the other end: what Stripe took is what the log says, under one intent per order.
func (c *checker) askStripe(ctx context.Context) error {
	if c.StripeKey == "" || c.StripeURL == "" {
		c.skipped[CapturedOnce] = "Stripe: no key was given (--stripe-secret-key, --stripe)"
		return nil
	}
	a := account{of: map[string]string{}}
	// What was created after the log was read is not in what was read of it.
	before := c.Now().Add(-c.Settle).Unix()
	for after := ""; ; {
		page, more, err := c.intents(ctx, after)
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
	if err := c.findUnasked(ctx, a.unasked); err != nil {
		return err
	}
	if err := c.findUnknown(ctx, a.unknown); err != nil {
		return err
	}
	c.findUntaken(a)
	c.scopes[CapturedOnce] += fmt.Sprintf(", %d intents at Stripe", a.intents)
	return nil
}

// compareIntent compares one intent with the order that it names. One of somebody else, who shares the account, names
// none.
func (c *checker) compareIntent(a *account, i intent, before int64) {
	id := i.order()
	if id == "" {
		return
	}
	a.intents++
	subject := "order " + id
	if other, ok := a.of[id]; ok {
		c.ledger.find(CapturedOnce, subject, fmt.Sprintf("has two intents at Stripe, %s and %s", other, i.ID))
	}
	a.of[id] = i.ID
	o, ok := c.ledger.orders[id]
	switch {
	case !ok && (i.AmountReceived == 0 || i.Created >= before):
		return
	case !ok:
		a.unknown = append(a.unknown, i)
	case o.payment.captured == 0 && c.young(o):
		return // Stripe was asked after the log was read, so what it took just now is not in there; the reverse cannot be
	case o.payment.intent != "" && o.payment.intent != i.ID:
		c.ledger.find(CapturedOnce, subject, fmt.Sprintf("has the intent %s, at Stripe %s", o.payment.intent, i.ID))
	case o.payment.captured == 0 && i.AmountReceived > 0:
		a.unasked = append(a.unasked, i)
	case i.AmountReceived != o.payment.captured:
		c.findDifferent(id, o, i)
	case i.AmountReceived > 0 && !strings.EqualFold(i.Currency, o.payment.currency):
		c.ledger.find(CapturedOnce, subject, fmt.Sprintf("captured %s by the log, %s by Stripe", o.payment.currency, i.Currency))
	}
}

func (c *checker) findDifferent(id string, o *order, i intent) {
	c.ledger.find(CapturedOnce, "order "+id, fmt.Sprintf("captured %d by the log, %d by Stripe (%s is %s)", o.payment.captured, i.AmountReceived, i.ID, i.Status))
}

// findUnasked looks at orders again for which Stripe took money. A shopper may have thought for an hour and paid after the
// log was read; then the order has moved since.
func (c *checker) findUnasked(ctx context.Context, unasked []intent) error {
	again := unasked[:min(len(unasked), againAtMost)]
	ids := make([]string, 0, len(again))
	for _, i := range again {
		ids = append(ids, i.order())
	}
	slices.Sort(ids)
	fresh, err := c.readAgain(ctx, slices.Compact(ids)) // the broker takes no subject twice
	if err != nil {
		return err
	}
	for _, i := range unasked {
		o, ok := fresh.orders[i.order()]
		if !ok {
			o = c.ledger.orders[i.order()]
		}
		if o.payment.captured != i.AmountReceived && !c.young(o) {
			c.findDifferent(i.order(), o, i)
		}
	}
	return nil
}

// findUntaken finds captures of the log that Stripe knows nothing of.
func (c *checker) findUntaken(a account) {
	for id, o := range c.ledger.orders {
		if _, known := a.of[id]; o.payment.captured > 0 && !known {
			c.ledger.find(CapturedOnce, "order "+id, fmt.Sprintf("captured %d by the log, and Stripe has no intent of it", o.payment.captured))
		}
	}
}

// findUnknown finds money that Stripe took for orders that are not in the log and still has. A shop that was restored from a
// backup does not know the orders that were placed after it: staff give that money back at Stripe, and then all is well.
func (c *checker) findUnknown(ctx context.Context, unknown []intent) error {
	for _, i := range unknown {
		back, err := c.refunded(ctx, i.ID)
		if err != nil {
			return err
		}
		if back < i.AmountReceived {
			c.ledger.find(CapturedOnce, "order "+i.order(), fmt.Sprintf("is not in the log, and Stripe took %d %s under %s", i.AmountReceived-back, i.Currency, i.ID))
		}
	}
	return nil
}

// refunded is how much of an intent went back; as many refunds are read as fit into a page.
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

// intents fetches a page, newest first.
func (c *checker) intents(ctx context.Context, after string) (page []intent, more bool, err error) {
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

// list fetches a page of Stripe's objects of one sort.
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
		return fmt.Errorf("read %s of %s: %w", objects, c.StripeURL, err)
	}
	return nil
}
