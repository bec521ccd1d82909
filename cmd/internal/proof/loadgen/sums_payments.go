package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tillstream/events"
)

// intent is what is read of Stripe's list.
type intent struct {
	ID             string            `json:"id"`
	AmountReceived int64             `json:"amount_received"`
	Currency       string            `json:"currency"`
	Metadata       map[string]string `json:"metadata"`
}

// clockSkew is how far Stripe's clock may be behind ours.
const clockSkew = time.Minute

// SumPayments says what Stripe took for these orders, by its own list of payment intents since the run began. An order
// paid by two intents counts twice, as it would for the shopper.
func (s *Shop) SumPayments(ctx context.Context, ids []string, since time.Time, told Told) (Sum, error) {
	sum := Sum{Source: "payments at Stripe"}
	ours := make(map[string]bool, len(ids))
	for _, id := range ids {
		ours[id] = true
	}
	address := fmt.Sprintf("%s/v1/payment_intents?limit=100&created[gte]=%d", s.at.Stripe, since.Add(-clockSkew).Unix())
	after := ""
	for {
		var page struct {
			Data    []intent `json:"data"`
			HasMore bool     `json:"has_more"`
		}
		err := s.client.call(ctx, s.client.few, request{method: http.MethodGet, url: address + after, bearer: s.at.SecretKey}, &page)
		if err != nil {
			return sum, fmt.Errorf("list the payments at Stripe: %w", err)
		}
		for _, in := range page.Data {
			if ours[in.Metadata["order_id"]] && in.AmountReceived > 0 {
				sum.Orders++
				if sum.Revenue, err = total(sum.Revenue, events.Money{Amount: in.AmountReceived, Currency: strings.ToUpper(in.Currency)}); err != nil {
					return sum, fmt.Errorf("sum the payments at Stripe: %s: %w", in.ID, err)
				}
			}
		}
		told("reading the payments", sum.Orders, len(ids))
		if !page.HasMore || len(page.Data) == 0 {
			return sum, nil
		}
		after = "&starting_after=" + page.Data[len(page.Data)-1].ID
	}
}
