package inventory_test

import (
	"errors"
	"fmt"
	"net/url"
	"testing"

	"tillstream/events"
	"tillstream/inventory"
)

func TestStaffListStockByWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := open(t)
	for sku, onHand := range map[string]int64{"A": 0, "B": 3, "C": 9} {
		s.stock(t, sku, onHand)
	}
	s.wait(t, "the catalogue has all items", func() bool { return s.service.Count() == 3 })
	for query, want := range map[string]string{"": "A0 B3 C9 ", "?below=1": "A0 ", "?below=4": "A0 B3 ", "?q=item+c": "C9 ", "?q=nothing": ""} {
		got := ""
		list := s.staff(t, "GET", "/ops/api/stock"+query, "", 200)
		for _, row := range list["items"].([]any) {
			item := row.(map[string]any)
			got += fmt.Sprintf("%v%v ", item["sku"], item["on_hand"])
		}
		if got != want || list["matching"] != float64(len(want)/3) {
			t.Errorf("list %q: got %s of %v, want %s", query, got, list["matching"], want)
		}
	}
	first := s.staff(t, "GET", "/ops/api/stock?limit=2", "", 200)
	second := s.staff(t, "GET", "/ops/api/stock?limit=2&cursor="+url.QueryEscape(first["next_cursor"].(string)), "", 200)
	if items := second["items"].([]any); len(items) != 1 || items[0].(map[string]any)["sku"] != "C" || second["next_cursor"] != nil || second["matching"] != 3.0 {
		t.Errorf("second page: got %v, want C alone", second)
	}
	if w := s.request(t, "GET", "/ops/api/stock", ""); w.Code != 401 {
		t.Errorf("without a credential: got %d, want 401", w.Code)
	}
}

func TestAnAdjustmentOfStockThatHasChangedIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 12)
	path := "/ops/api/stock/A/adjustments"
	s.staff(t, "POST", path, `{"delta":3,"expect_on_hand":11,"reason":"received"}`, 409)
	if got := s.staff(t, "POST", path, `{"delta":3,"expect_on_hand":12,"reason":"received"}`, 200); got["on_hand"] != 15.0 {
		t.Errorf("got %v, want 15 on hand", got)
	}
}

func TestThePreviewOfAnAdjustmentIsWhatItDoes(t *testing.T) {
	t.Parallel()
	now := events.StockLevel{OnHand: 12, Available: 10, Held: 2}
	number := func(n int64) *int64 { return &n }
	after, err := inventory.Adjustment{Delta: number(3), Reason: "received"}.Preview("A", now)
	if err != nil || after != (events.StockLevel{OnHand: 15, Available: 13, Held: 2}) {
		t.Errorf("received 3: got %+v, %v", after, err)
	}
	if after, err = (inventory.Adjustment{Count: number(12), Reason: "counted"}).Preview("A", now); err != nil || after != now {
		t.Errorf("counted the same: got %+v, %v; want no change", after, err)
	}
	if _, err = (inventory.Adjustment{Count: number(1), Reason: "counted"}).Preview("A", now); !errors.Is(err, inventory.ErrBelowHeld) {
		t.Errorf("counted less than is held: got %v, want ErrBelowHeld", err)
	}
	var invalid *events.InvalidError
	if _, err = (inventory.Adjustment{Count: number(1)}).Preview("A", now); !errors.As(err, &invalid) {
		t.Errorf("without a reason: got %v, want an InvalidError", err)
	}
}
