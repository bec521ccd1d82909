package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"tillstream/events"
)

// Listing is an item as staff put it into the catalogue.
type Listing struct {
	SKU    string       `json:"-"`
	Title  string       `json:"title"`
	Price  events.Money `json:"price"`
	OnHand int64        `json:"on_hand"`
}

// List puts an item into the catalogue and so many of it on the shelf, through the staff's API.
func (s *Shop) List(ctx context.Context, l Listing) error {
	body, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode item %s: %w", l.SKU, err)
	}
	var put struct{}
	err = s.client.call(ctx, s.client.few, request{method: http.MethodPut, url: s.at.Ops + "/ops/api/items/" + url.PathEscape(l.SKU),
		bearer: s.at.OpsToken, contentType: "application/json", body: body}, &put)
	if err != nil {
		return fmt.Errorf("list item %s: %w", l.SKU, err)
	}
	return nil
}

// Shortfall is what is missing of each item for a demand. What is demanded but not listed cannot be received either, and
// is left to the shop to refuse.
func Shortfall(demand map[string]int64, items []Item) []Line {
	var missing []Line
	for _, item := range items {
		if short := demand[item.SKU] - item.Available; short > 0 && demand[item.SKU] > 0 {
			missing = append(missing, Line{SKU: item.SKU, Quantity: short})
		}
	}
	return missing
}

// Receive books goods as received, through the staff's API. It is not repeated when an answer is missing, because that
// would book them twice.
func (s *Shop) Receive(ctx context.Context, goods []Line) error {
	for _, line := range goods {
		if err := s.receive(ctx, line.SKU, line.Quantity); err != nil {
			return err
		}
	}
	return nil
}

// CanReceive reports whether the staff's API is known.
func (s *Shop) CanReceive() bool { return s.at.Ops != "" && s.at.OpsToken != "" }
