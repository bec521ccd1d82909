package payments

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/api"
)

// Payout is a transfer of money from the shop's balance at Stripe to its bank account (docs.stripe.com/api/payouts/object).
type Payout struct {
	ID        string       `json:"id" doc:"po_…"`
	Amount    events.Money `json:"amount"`
	Status    string       `json:"status" doc:"Stripe's: pending, in_transit, paid, failed or canceled"`
	Automatic bool         `json:"automatic" doc:"Made by Stripe's schedule; for others Stripe does not say what they consist of"`
	CreatedAt time.Time    `json:"created_at"`
	ArrivesAt time.Time    `json:"arrives_at" doc:"When it arrives at the bank, as Stripe expects"`
	Failure   string       `json:"failure,omitempty" doc:"Why it failed"`
}

// PayoutRow is one booking of a payout.
type PayoutRow struct {
	Transaction string       `json:"transaction" doc:"txn_…"`
	Group       string       `json:"group" enum:"charges,refunds,disputes,fees,other"`
	Kind        string       `json:"kind" doc:"Stripe's type"`
	Source      string       `json:"source,omitempty" doc:"Id of the charge, refund or dispute at Stripe"`
	Description string       `json:"description,omitempty"`
	PaymentID   string       `json:"payment_id,omitempty" doc:"Absent if it is not about a payment of the shop"`
	OrderID     string       `json:"order_id,omitempty"`
	Number      string       `json:"number,omitempty" doc:"Number of the order"`
	Amount      events.Money `json:"amount" doc:"Negative if it leaves the account"`
	Fee         events.Money `json:"fee"`
	Net         events.Money `json:"net"`
	CreatedAt   time.Time    `json:"created_at"`
}

// PayoutGroup is the sum of the rows of one group.
type PayoutGroup struct {
	Group  string       `json:"group"`
	Count  int          `json:"count"`
	Amount events.Money `json:"amount"`
	Fee    events.Money `json:"fee"`
	Net    events.Money `json:"net"`
}

// PayoutReport is a payout with everything that it consists of. The net amounts of the rows add up to the amount of the payout, except
// for Difference.
type PayoutReport struct {
	Payout     Payout        `json:"payout"`
	Groups     []PayoutGroup `json:"groups" nullable:"false"`
	Rows       []PayoutRow   `json:"rows" nullable:"false" doc:"The newest first"`
	Net        events.Money  `json:"net" doc:"Sum of the rows"`
	Difference events.Money  `json:"difference" doc:"Amount of the payout less the sum of the rows: 0 unless the payout was not made by Stripe's schedule"`
}

// payoutReport builds the report of a payout from its balance transactions. The payout itself is one of them and is left out.
func payoutReport(p Payout, booked []BalanceTransaction, owner func(BalanceTransaction) Payment) PayoutReport {
	r := PayoutReport{Payout: p, Groups: []PayoutGroup{}, Rows: []PayoutRow{}, Net: events.Money{Currency: p.Amount.Currency}}
	sums := map[string]*PayoutGroup{}
	for _, t := range booked {
		if t.Source == p.ID {
			continue
		}
		o, group := owner(t), t.group()
		r.Rows = append(r.Rows, PayoutRow{Transaction: t.ID, Group: group, Kind: t.Kind, Source: t.Source, Description: t.Description,
			PaymentID: o.ID, OrderID: o.OrderID, Number: o.Number, Amount: t.Amount, Fee: t.Fee, Net: t.Net, CreatedAt: t.Created})
		sum := sums[group]
		if sum == nil {
			zero := events.Money{Currency: p.Amount.Currency}
			sum = &PayoutGroup{Group: group, Amount: zero, Fee: zero, Net: zero}
			sums[group] = sum
		}
		sum.Count++
		sum.Amount.Amount += t.Amount.Amount
		sum.Fee.Amount += t.Fee.Amount
		sum.Net.Amount += t.Net.Amount
		r.Net.Amount += t.Net.Amount
	}
	for _, group := range Groups() {
		if sum := sums[group]; sum != nil {
			r.Groups = append(r.Groups, *sum)
		}
	}
	r.Difference = events.Money{Amount: p.Amount.Amount - r.Net.Amount, Currency: p.Amount.Currency}
	return r
}

type payoutsInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
}

// PayoutsBody is a page of the list of payouts.
type PayoutsBody struct {
	Payouts    []Payout `json:"payouts" nullable:"false"`
	NextCursor string   `json:"next_cursor,omitempty" doc:"Absent on the last page"`
}

type payoutsOutput struct{ Body PayoutsBody }

type payoutInput struct {
	ID string `path:"id" maxLength:"200" pattern:"^[A-Za-z0-9_]+$" doc:"Id of the payout at Stripe"`
}

type payoutOutput struct{ Body PayoutReport }

// registerPayouts adds the routes on which staff read what Stripe has paid out.
func (s *Service) registerPayouts(router huma.API) {
	operation := func(id, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Security: api.StaffSecurity, Tags: []string{"Staff"},
			Description: "Stripe is asked at each request. 503 says why it could not be asked.",
			Middlewares: huma.Middlewares{api.RequireStaff(router, s.config.Access, api.ReadAll)}, Errors: append(errors, 401, 403, 503)}
	}
	huma.Register(router, operation("list-payouts", "/ops/api/payouts", "List payouts of Stripe, newest first"), s.listPayouts)
	huma.Register(router, operation("get-payout", "/ops/api/payouts/{id}", "Read what a payout consists of", 404), s.getPayout)
}

func (s *Service) listPayouts(ctx context.Context, in *payoutsInput) (*payoutsOutput, error) {
	payouts, more, err := s.gateway.ListPayouts(ctx, in.Limit, in.Cursor)
	if err != nil {
		return nil, s.stripeProblem(ctx, err)
	}
	out := &payoutsOutput{Body: PayoutsBody{Payouts: append([]Payout{}, payouts...)}}
	if more && len(payouts) > 0 {
		out.Body.NextCursor = payouts[len(payouts)-1].ID
	}
	return out, nil
}

func (s *Service) getPayout(ctx context.Context, in *payoutInput) (*payoutOutput, error) {
	p, err := s.gateway.RetrievePayout(ctx, in.ID)
	if err != nil {
		return nil, s.stripeProblem(ctx, err)
	}
	var booked []BalanceTransaction
	if p.Automatic { // Stripe refuses the list for others
		err = s.gateway.ListBalance(ctx, BalanceQuery{Payout: p.ID}, func(t BalanceTransaction) error {
			booked = append(booked, t)
			return t.Unreadable // the sum would be wrong without it
		})
	}
	if err != nil {
		return nil, s.stripeProblem(ctx, err)
	}
	owner, err := s.payers(ctx, booked)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &payoutOutput{Body: payoutReport(p, booked, owner)}, nil
}

// payers returns a function that finds the payment of a balance transaction, the zero Payment if it is not of this shop.
func (s *Service) payers(ctx context.Context, booked []BalanceTransaction) (func(BalanceTransaction) Payment, error) {
	wanted := map[string]struct{}{}
	for _, t := range booked {
		if t.aboutPayment() && t.PaymentIntent != "" {
			wanted[t.PaymentIntent] = struct{}{}
		}
	}
	if len(wanted) == 0 {
		return func(BalanceTransaction) Payment { return Payment{} }, nil
	}
	known, err := s.byIntent(ctx, wanted)
	return func(t BalanceTransaction) Payment {
		if !t.aboutPayment() {
			return Payment{}
		}
		return known[t.PaymentIntent]
	}, err
}

// stripeProblem is the answer to a staff request for which Stripe was asked, and says what Stripe answered.
func (s *Service) stripeProblem(ctx context.Context, err error) error {
	var answer *GatewayError
	switch {
	case !errors.As(err, &answer):
		return s.problem(ctx, err)
	case answer.Status == http.StatusNotFound:
		return huma.Error404NotFound("Stripe has no such payout.")
	}
	s.logger.Warn("ask Stripe for payouts", "error", err)
	return huma.Error503ServiceUnavailable("Stripe could not be asked: " + answer.Error())
}
