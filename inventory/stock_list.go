package inventory

import (
	"context"

	"tillstream/events/api"
)

// StockRow is an item with its stock in the list for staff.
type StockRow struct {
	OfferBody
	OnHand int64 `json:"on_hand"`
	Held   int64 `json:"held" doc:"Held for orders that are not paid yet"`
}

type stockListInput struct {
	Query  string `query:"q" maxLength:"200" doc:"Words that must all begin a word of title, SKU, tags or description"`
	Below  int64  `query:"below" minimum:"0" maximum:"1000000000" doc:"List only items of which fewer can be ordered; 1 lists what is sold out, 0 lists all"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Cursor string `query:"cursor" maxLength:"2000" doc:"next_cursor of the page before"`
}

// StockListBody is a page of the list of stock.
type StockListBody struct {
	Items      []StockRow `json:"items" nullable:"false"`
	Matching   int        `json:"matching" doc:"How many items match, on all pages"`
	NextCursor string     `json:"next_cursor,omitempty" doc:"Absent on the last page"`
}

type stockListOutput struct {
	Body StockListBody
}

func (s *Service) listStock(ctx context.Context, in *stockListInput) (*stockListOutput, error) {
	body, err := s.catalogue.stockPage(in)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &stockListOutput{Body: body}, nil
}

// stockPage returns a page of the items that match, sorted by title, and counts all that match.
func (c *catalogue) stockPage(in *stockListInput) (StockListBody, error) {
	body := StockListBody{Items: make([]StockRow, 0, in.Limit)}
	after, err := api.DecodeCursor(in.Cursor, parseKey)
	if err != nil {
		return body, err
	}
	words := queryWords(in.Query)
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.loaded {
		return body, ErrLoading
	}
	last := ""
	for _, r := range c.sorted {
		offer := c.offerOf(r)
		if !r.matches(words) || in.Below > 0 && offer.Available >= in.Below {
			continue
		}
		body.Matching++
		switch {
		case r.key <= after:
		case len(body.Items) < in.Limit:
			body.Items, last = append(body.Items, StockRow{OfferBody: offerBody(offer), OnHand: offer.Level.OnHand, Held: offer.Level.Held}), r.key
		default:
			body.NextCursor = api.EncodeCursor(last)
		}
	}
	return body, nil
}
