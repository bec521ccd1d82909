package invariants

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// Effects are what the shop has done outside of its log. What was done once stays there unchanged.
type Effects struct {
	Money map[string]string // what was received or refunded, by the id of the PaymentIntent or refund
	Mails map[string]int    // copies in the mailbox by Message-ID
}

// ReadEffects reads the PaymentIntents and refunds at Stripe, and the mailbox. Options.StripeKey, StripeURL and Mail are required.
func ReadEffects(ctx context.Context, options Options) (Effects, error) {
	options, err := options.withDefaults()
	if err == nil && (options.StripeKey == "" || options.StripeURL == "" || options.Mail == "") {
		err = errors.New("invariants: Options.StripeKey, Options.StripeURL and Options.Mail are required")
	}
	if err != nil {
		return Effects{}, err
	}
	c, e := &checker{Options: options}, Effects{Money: map[string]string{}}
	for _, kind := range []string{"payment_intents", "refunds"} {
		if err := c.readMoney(ctx, kind, e.Money); err != nil {
			return Effects{}, err
		}
	}
	err = c.readMailbox(ctx)
	e.Mails = c.mailbox.copies
	return e, err
}

// readMoney reads all PaymentIntents or refunds.
func (c *checker) readMoney(ctx context.Context, kind string, money map[string]string) error {
	for after := ""; ; {
		var page struct {
			Data []struct {
				ID       string `json:"id"`
				Amount   int64  `json:"amount"`
				Received int64  `json:"amount_received"`
				Status   string `json:"status"`
			} `json:"data"`
			HasMore bool `json:"has_more"`
		}
		query := url.Values{}
		if after != "" {
			query.Set("starting_after", after)
		}
		if err := c.list(ctx, kind, query, &page); err != nil {
			return err
		}
		for _, o := range page.Data {
			money[o.ID] = fmt.Sprintf("%d, received %d, %s", o.Amount, o.Received, o.Status)
			after = o.ID
		}
		if !page.HasMore || len(page.Data) == 0 {
			return nil
		}
	}
}
