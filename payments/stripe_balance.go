package payments

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/dispute"
	"github.com/stripe/stripe-go/v76/form"
	"github.com/stripe/stripe-go/v76/payout"

	"tillstream/events"
)

// RetrieveDispute implements [Gateway].
func (g *stripeGateway) RetrieveDispute(ctx context.Context, id string) (StripeDispute, error) {
	d, err := dispute.Client{B: g.backend, Key: g.key}.Get(id, &stripe.DisputeParams{Params: stripe.Params{Context: ctx}})
	if err != nil {
		return StripeDispute{}, classify(ctx, err, opRead, "dispute "+id)
	}
	return disputeOf(d), nil
}

// disputeOf converts Stripe's object. Its bookings take the disputed amount from the account, and return it if the bank decides for the
// shop.
func disputeOf(d *stripe.Dispute) StripeDispute {
	out := StripeDispute{ID: d.ID, Status: string(d.Status), Reason: string(d.Reason), Amount: moneyOf(d.Amount, d.Currency), Livemode: d.Livemode,
		Bookings: len(d.BalanceTransactions)}
	if d.Charge != nil {
		out.Charge = d.Charge.ID
	}
	if d.PaymentIntent != nil {
		out.PaymentIntent = d.PaymentIntent.ID
	}
	if d.EvidenceDetails != nil && d.EvidenceDetails.DueBy > 0 {
		out.EvidenceDue = time.Unix(d.EvidenceDetails.DueBy, 0).UTC()
	}
	for _, t := range d.BalanceTransactions {
		out.Withdrawn = moneyOf(out.Withdrawn.Amount-t.Amount, t.Currency)
		out.Fee = moneyOf(out.Fee.Amount+t.Fee, t.Currency)
	}
	return out
}

func moneyOf(amount int64, currency stripe.Currency) events.Money {
	return events.Money{Amount: amount, Currency: strings.ToUpper(string(currency))}
}

// rawBalance is a page of balance transactions with undecoded entries: one that cannot be read must not hide the others.
type rawBalance struct {
	stripe.APIResource
	HasMore bool              `json:"has_more"`
	Data    []json.RawMessage `json:"data"`
}

// balanceObject is a balance transaction with its source, which is requested as an object.
type balanceObject struct {
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Amount      int64           `json:"amount"`
	Fee         int64           `json:"fee"`
	Net         int64           `json:"net"`
	Currency    stripe.Currency `json:"currency"`
	Created     int64           `json:"created"`
	AvailableOn int64           `json:"available_on"`
	Description string          `json:"description"`
	Source      json.RawMessage `json:"source"`
}

// ListBalance implements [Bookkeeping]. An entry that cannot be read is handed on as such, and the list goes on.
func (g *stripeGateway) ListBalance(ctx context.Context, q BalanceQuery, fn func(BalanceTransaction) error) error {
	params := &stripe.BalanceTransactionListParams{ListParams: stripe.ListParams{Limit: stripe.Int64(stripePage)},
		Expand: stripe.StringSlice([]string{"data.source"})}
	if q.Payout != "" {
		params.Payout = stripe.String(q.Payout)
	} else {
		params.CreatedRange = &stripe.RangeQueryParams{GreaterThanOrEqual: q.Since.Unix()}
	}
	read := pages{}
	for {
		values, page := &form.Values{}, &rawBalance{}
		form.AppendTo(values, params)
		if err := g.backend.CallRaw(http.MethodGet, "/v1/balance_transactions", g.key, values, &stripe.Params{Context: ctx}, page); err != nil {
			return classify(ctx, err, opRead, "balance transactions")
		}
		for _, raw := range page.Data {
			t, err := balanceOf(raw)
			if err != nil {
				t = BalanceTransaction{ID: idOf(raw), Unreadable: fmt.Errorf("read balance transaction: %w", err)}
			}
			if err := fn(t); err != nil {
				return err
			}
			if t.ID != "" {
				params.StartingAfter = stripe.String(t.ID)
			}
		}
		if !page.HasMore || len(page.Data) == 0 {
			return nil
		}
		if err := read.turn("list balance transactions", stripe.StringValue(params.StartingAfter)); err != nil {
			return err
		}
	}
}

// balanceOf converts Stripe's object.
func balanceOf(raw json.RawMessage) (BalanceTransaction, error) {
	var b balanceObject
	if err := json.Unmarshal(raw, &b); err != nil {
		return BalanceTransaction{}, err
	}
	t := BalanceTransaction{ID: b.ID, Kind: b.Type, Description: b.Description, Amount: moneyOf(b.Amount, b.Currency), Fee: moneyOf(b.Fee, b.Currency),
		Net: moneyOf(b.Net, b.Currency), Created: time.Unix(b.Created, 0).UTC(), AvailableOn: time.Unix(b.AvailableOn, 0).UTC()}
	var source struct {
		ID            string            `json:"id"`
		Object        string            `json:"object"`
		PaymentIntent json.RawMessage   `json:"payment_intent"`
		Metadata      map[string]string `json:"metadata"`
	}
	if err := json.Unmarshal(b.Source, &source); err != nil {
		t.Source = idOf(b.Source) // none, or only an id: of an object that cannot be expanded
		return t, nil             //nolint:nilerr // such a transaction is not about a payment
	}
	t.Source, t.SourceKind, t.PaymentIntent, t.PaymentID = source.ID, source.Object, idOf(source.PaymentIntent), source.Metadata[metadataPayment]
	return t, nil
}

// idOf returns the id of an object that Stripe gives as an id or as a whole, "" for none.
func idOf(raw json.RawMessage) string {
	var id string
	var object struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(raw, &id) == nil {
		return id
	}
	if json.Unmarshal(raw, &object) == nil {
		return object.ID
	}
	return ""
}

// ListPayouts implements [Bookkeeping].
func (g *stripeGateway) ListPayouts(ctx context.Context, limit int, after string) ([]Payout, bool, error) {
	params := &stripe.PayoutListParams{ListParams: stripe.ListParams{Context: ctx, Limit: stripe.Int64(int64(limit)), Single: true}}
	if after != "" {
		params.StartingAfter = stripe.String(after)
	}
	list := payout.Client{B: g.backend, Key: g.key}.List(params)
	var payouts []Payout
	for list.Next() {
		payouts = append(payouts, payoutOf(list.Payout()))
	}
	if err := list.Err(); err != nil {
		return nil, false, classify(ctx, err, opRead, "payouts")
	}
	return payouts, list.Meta().HasMore, nil
}

// RetrievePayout implements [Bookkeeping].
func (g *stripeGateway) RetrievePayout(ctx context.Context, id string) (Payout, error) {
	p, err := payout.Client{B: g.backend, Key: g.key}.Get(id, &stripe.PayoutParams{Params: stripe.Params{Context: ctx}})
	if err != nil {
		return Payout{}, classify(ctx, err, opRead, "payout "+id)
	}
	return payoutOf(p), nil
}

func payoutOf(p *stripe.Payout) Payout {
	return Payout{ID: p.ID, Amount: moneyOf(p.Amount, p.Currency), Status: string(p.Status), Automatic: p.Automatic,
		CreatedAt: time.Unix(p.Created, 0).UTC(), ArrivesAt: time.Unix(p.ArrivalDate, 0).UTC(), Failure: p.FailureMessage}
}
