package payments

import (
	"maps"
	"slices"

	"tillstream/events"
)

// Settlement is what Stripe has booked for a payment on the shop's account, in the currency in which the account is settled. Every
// amount but Net is positive: Net = Gross - Refunded - Disputed - Fees.
type Settlement struct {
	Gross    events.Money `json:"gross" doc:"Captured"`
	Refunded events.Money `json:"refunded" doc:"Returned to the shopper"`
	Disputed events.Money `json:"disputed" doc:"Taken by the bank in disputes and not returned"`
	Fees     events.Money `json:"fees" doc:"Of Stripe"`
	Net      events.Money `json:"net" doc:"What the shop keeps"`
}

// Settlement returns the sums of what Stripe has booked for the payment. ok is false before the first booking, and if the bookings are
// in several currencies, because the account has been settled in another one since.
func (p Payment) Settlement() (sum Settlement, ok bool) {
	entries := slices.Collect(maps.Values(p.Balance))
	if len(entries) == 0 {
		return sum, false
	}
	currency := entries[0].Amount.Currency
	for _, entry := range entries {
		if entry.Amount.Currency != currency {
			return Settlement{}, false
		}
		sum.add(entry.Kind, entry.Amount.Amount, entry.Fee.Amount)
	}
	for _, m := range []*events.Money{&sum.Gross, &sum.Refunded, &sum.Disputed, &sum.Fees, &sum.Net} {
		m.Currency = currency
	}
	return sum, true
}

// add adds a booking of Stripe. Stripe takes and returns disputed money with adjustments.
func (s *Settlement) add(kind string, amount, fee int64) {
	switch groupOf(kind) {
	case GroupCharges:
		s.Gross.Amount += amount
	case GroupRefunds:
		s.Refunded.Amount -= amount
	default:
		s.Disputed.Amount -= amount
	}
	s.Fees.Amount += fee
	s.Net.Amount += amount - fee
}

// The groups of balance transactions.
const (
	GroupCharges  = "charges"
	GroupRefunds  = "refunds"
	GroupDisputes = "disputes"
	GroupFees     = "fees" // of Stripe's products, which are not about a payment
	GroupOther    = "other"
)

// Groups returns all groups, in the order in which a report shows them.
func Groups() []string {
	return []string{GroupCharges, GroupRefunds, GroupDisputes, GroupFees, GroupOther}
}

// groups has Stripe's types of balance transactions (docs.stripe.com/reports/balance-transaction-types) by their group.
var groups = map[string]string{
	"charge": GroupCharges, "payment": GroupCharges,
	"refund": GroupRefunds, "payment_refund": GroupRefunds, "refund_failure": GroupRefunds, "payment_failure_refund": GroupRefunds, "payment_reversal": GroupRefunds,
	"stripe_fee": GroupFees, "stripe_fx_fee": GroupFees, "tax_fee": GroupFees, "application_fee": GroupFees,
}

// groupOf returns the group of a type of balance transactions of a payment.
func groupOf(kind string) string {
	if group, ok := groups[kind]; ok {
		return group
	}
	return GroupOther
}

// group returns the group of a balance transaction. An adjustment is about a dispute if its source is one.
func (t BalanceTransaction) group() string {
	if t.SourceKind == "dispute" {
		return GroupDisputes
	}
	return groupOf(t.Kind)
}
