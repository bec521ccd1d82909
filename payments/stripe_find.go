package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tillstream/events"
)

// listMargin is how far the shop's clock may be from Stripe's, and how long after its request an intent is usually created. The intents
// of that time are listed first.
const listMargin = 2 * time.Hour

// FindIntent implements [Gateway].
func (g *stripeGateway) FindIntent(ctx context.Context, p Payment) (Intent, bool, error) {
	in, found, err := g.searchIntent(ctx, p.ID)
	if errors.Is(err, ErrRequest) {
		return g.listIntent(ctx, p)
	}
	return in, found, err
}

// searchIntent searches by the metadata. Stripe refuses it for accounts of some countries, such as India
// (docs.stripe.com/search#search-availability).
func (g *stripeGateway) searchIntent(ctx context.Context, paymentID string) (Intent, bool, error) {
	if err := events.CheckID(paymentID); err != nil { // the query contains it unescaped
		return Intent{}, false, err
	}
	query := fmt.Sprintf("metadata['%s']:'%s'", metadataPayment, paymentID)
	found := g.intents.Search(&stripe.PaymentIntentSearchParams{
		SearchParams: stripe.SearchParams{Context: ctx, Query: query, Limit: stripe.Int64(1), Single: true}})
	if found.Next() {
		return intentOf(found.PaymentIntent()), true, nil
	}
	if err := found.Err(); err != nil {
		return Intent{}, false, classify(ctx, err, opSearchIntents, "of payment "+paymentID)
	}
	return Intent{}, false, nil
}

// listIntent looks through the intents since the payment was requested: those of the first hours, then all later ones, because an
// outage may have delayed the creation. Unlike the search, a list has no delay.
func (g *stripeGateway) listIntent(ctx context.Context, p Payment) (Intent, bool, error) {
	begin, later := p.RequestedAt.Add(-listMargin).Unix(), p.RequestedAt.Add(listMargin).Unix()
	for _, created := range []*stripe.RangeQueryParams{{GreaterThanOrEqual: begin, LesserThan: later}, {GreaterThanOrEqual: later}} {
		list := g.intents.List(&stripe.PaymentIntentListParams{CreatedRange: created,
			ListParams: stripe.ListParams{Context: ctx, Limit: stripe.Int64(stripePage)}})
		read := entries{op: opListIntents, pages: pages{}}
		for list.Next() {
			pi := list.PaymentIntent()
			if pi.Metadata[metadataPayment] == p.ID {
				return intentOf(pi), true, nil
			}
			if err := read.next(pi.ID); err != nil {
				return Intent{}, false, err
			}
		}
		if err := list.Err(); err != nil {
			return Intent{}, false, classify(ctx, err, opListIntents, "for payment "+p.ID)
		}
	}
	return Intent{}, false, nil
}
