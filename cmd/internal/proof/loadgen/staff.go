package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"tillstream/events"
)

// Listing is an item as staff list it in the catalogue.
type Listing struct {
	SKU    string       `json:"-"`
	Title  string       `json:"title"`
	Price  events.Money `json:"price"`
	OnHand int64        `json:"on_hand"`
}

// List lists an item and sets its stock, through the staff API.
func (s *Shop) List(ctx context.Context, l Listing) error {
	body, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode item %s: %w", l.SKU, err)
	}
	var listed struct{}
	err = s.client.call(ctx, s.client.retry, request{method: http.MethodPut, url: s.at.Ops + "/ops/api/items/" + url.PathEscape(l.SKU),
		bearer: s.at.OpsKey, contentType: "application/json", body: body}, &listed)
	if err != nil {
		return fmt.Errorf("list item %s: %w", l.SKU, err)
	}
	return nil
}

// Shortfall returns how many units of each listed item are missing for a demand. Demand for items that are not listed is
// ignored: they cannot be received, and the shop refuses their orders.
func Shortfall(demand map[string]int64, items []Item) []Line {
	var missing []Line
	for _, item := range items {
		if short := demand[item.SKU] - item.Available; short > 0 && demand[item.SKU] > 0 {
			missing = append(missing, Line{SKU: item.SKU, Quantity: short})
		}
	}
	return missing
}

// Receive adds goods to the stock, through the staff API. A request without an answer is not repeated, because the units
// could be added twice.
func (s *Shop) Receive(ctx context.Context, goods []Line) error {
	once := retryPolicy{attempts: 1, retries: s.client.retry.retries}
	for _, line := range goods {
		var level struct{}
		body := fmt.Appendf(nil, `{"delta":%d,"reason":"received"}`, line.Quantity)
		err := s.client.call(ctx, once, request{method: http.MethodPost, bearer: s.at.OpsKey, contentType: "application/json", body: body,
			url: s.at.Ops + "/ops/api/stock/" + url.PathEscape(line.SKU) + "/adjustments"}, &level)
		if err != nil {
			return fmt.Errorf("receive %d of %s: %w", line.Quantity, line.SKU, err)
		}
	}
	return nil
}

// CanReceive reports whether the address and the token of the staff API are known.
func (s *Shop) CanReceive() bool { return s.at.Ops != "" && s.at.OpsKey != "" }
