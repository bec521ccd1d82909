package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tillstream/events"
)

// clockSkew is how far Stripe's clock may be behind.
const clockSkew = time.Minute

// sinceRun selects what Stripe has created since a run began.
func sinceRun(begun time.Time) url.Values {
	return url.Values{"created[gte]": {strconv.FormatInt(begun.Add(-clockSkew).Unix(), 10)}}
}

// intent is the part of a payment intent that is read from Stripe's list.
type intent struct {
	ID             string            `json:"id"`
	AmountReceived int64             `json:"amount_received"`
	Currency       string            `json:"currency"`
	Metadata       map[string]string `json:"metadata"`
}

func (i intent) received() events.Money {
	return events.Money{Amount: i.AmountReceived, Currency: strings.ToUpper(i.Currency)}
}

// intents calls fn for the payment intents that were created since a run began.
func (s *Shop) intents(ctx context.Context, begun time.Time, fn func(intent) error) error {
	return list(ctx, s, "payment_intents", sinceRun(begun), func(i intent) string { return i.ID }, fn)
}

// refund is the part of a refund that is read from Stripe's list.
type refund struct {
	ID     string `json:"id"`
	Intent string `json:"payment_intent"`
	Amount int64  `json:"amount"`
	Status string `json:"status"`
}

// refunds returns the refunds that have not failed: those of a payment intent, or all.
func (s *Shop) refunds(ctx context.Context, query url.Values) (made []refund, err error) {
	err = list(ctx, s, "refunds", query, func(r refund) string { return r.ID }, func(r refund) error {
		if r.Status != "failed" && r.Status != "canceled" {
			made = append(made, r)
		}
		return nil
	})
	return made, err
}

// stripeEvent is the part of an event about a charge that is read from Stripe's list.
type stripeEvent struct {
	ID         string `json:"id"`
	APIVersion string `json:"api_version"`
	Data       struct {
		Object struct {
			Intent string `json:"payment_intent"`
		} `json:"object"`
	} `json:"data"`
}

// list calls fn for all objects of a list of Stripe, newest first.
func list[T any](ctx context.Context, s *Shop, objects string, query url.Values, id func(T) string, fn func(T) error) error {
	query.Set("limit", "100")
	for {
		var page struct {
			Data    []T  `json:"data"`
			HasMore bool `json:"has_more"`
		}
		err := s.client.call(ctx, s.client.retry, request{method: http.MethodGet, url: s.at.Stripe + "/v1/" + objects + "?" + query.Encode(), bearer: s.at.SecretKey}, &page)
		if err != nil {
			return fmt.Errorf("list %s at Stripe: %w", objects, err)
		}
		for _, object := range page.Data {
			if err := fn(object); err != nil {
				return fmt.Errorf("read %s of Stripe: %s: %w", objects, id(object), err)
			}
		}
		if !page.HasMore || len(page.Data) == 0 {
			return nil
		}
		query.Set("starting_after", id(page.Data[len(page.Data)-1]))
	}
}
