package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

func itemListed(sku, title, description string, tags ...string) events.Event {
	return entityEvent(events.PrefixItem, sku, events.ItemChanged{SKU: sku, Title: title, Description: description, Tags: tags})
}

func stockCounted(sku string, available int64) events.Event {
	return entityEvent(events.PrefixStock, sku, events.StockAdjusted{StockMovement: movement(sku, available, level(available, 0))})
}

// loaded returns a catalogue that has loaded these events.
func loaded(t testing.TB, all ...events.Event) *catalogue {
	t.Helper()
	c := newCatalogue()
	for _, e := range all {
		if err := c.apply(e); err != nil {
			t.Fatal(err)
		}
	}
	c.finishLoading()
	return c
}

func search(t testing.TB, c *catalogue, query string) []string {
	t.Helper()
	offers, next, err := c.page(query, "", MaxPage)
	if err != nil || next != "" {
		t.Fatal(err, next)
	}
	skus := []string{}
	for _, o := range offers {
		skus = append(skus, o.Item.SKU)
	}
	return skus
}

func TestSearchFindsItemsByTheBeginningsOfWords(t *testing.T) {
	c := loaded(t, itemListed("22423", "REGENCY CAKESTAND 3 TIER", "For Sunday teas.", "kitchen"),
		itemListed("85123A", "White Hanging Heart T-Light Holder", "Painted wire.", "home", "light"),
		itemListed("TIN-7", "Baker's Tin", "Holds a whole loaf of wheat bread.", "kitchen"))
	for query, want := range map[string][]string{
		"":               {"TIN-7", "22423", "85123A"}, // by title
		"  ":             {"TIN-7", "22423", "85123A"},
		"heart":          {"85123A"},
		"HEA":            {"85123A"}, // the beginning of a word in any case; not "wheat"
		"eart":           {},
		"light heart":    {"85123A"},
		"t-light":        {"85123A"},
		"light wheat":    {}, // every word must match
		"85123a":         {"85123A"},
		"tin-7":          {"TIN-7"},
		"kitchen":        {"TIN-7", "22423"},
		"kitchen sunday": {"22423"},
		"bakers":         {"TIN-7"},
		"baker’s":        {"TIN-7"},
		"3 tier":         {"22423"},
		"<script>":       {},
	} {
		if diff := cmp.Diff(want, search(t, c, query)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
}

func TestCatalogueAppliesEventsAfterLoading(t *testing.T) {
	c := loaded(t, itemListed("A", "Apple", ""), itemListed("B", "Banana", ""), stockCounted("A", 3), stockCounted("C", 9))
	for _, e := range []events.Event{itemListed("A", "Zebra", ""), itemListed("C", "Cherry", ""), stockCounted("A", 2)} {
		if err := c.apply(e); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"B", "C", "A"}, search(t, c, "")); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]string{}, search(t, c, "apple")); diff != "" {
		t.Fatal(diff)
	}
	for sku, want := range map[string]int64{"A": 2, "B": 0, "C": 9} {
		if got, err := c.offer(sku); err != nil || got.Available != want {
			t.Errorf("%s: got %+v, %v; want %d available", sku, got, err, want)
		}
	}
	if _, err := c.offer("D"); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("D: got %v, want ErrNotFound", err)
	}
	if err := c.apply(newEvent("inventory.stock.main.A", events.OrderExpired{})); !errors.Is(err, ErrCannotFollow) {
		t.Errorf("event of an order on a stock subject: got %v, want ErrCannotFollow", err)
	}
}

func TestCatalogueReturnsErrLoadingUntilItIsLoaded(t *testing.T) {
	c := newCatalogue()
	if err := c.apply(itemListed("A", "Apple", "")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.page("", "", 1); !errors.Is(err, ErrLoading) {
		t.Errorf("page: got %v, want ErrLoading", err)
	}
	if _, err := c.offer("B"); !errors.Is(err, ErrLoading) {
		t.Errorf("offer: got %v, want ErrLoading", err)
	}
	if _, err := c.offer("A"); err != nil {
		t.Errorf("offer of a loaded item: got %v, want no error", err)
	}
}

// Pages of any size, while items are listed in between, show every item of the beginning exactly once.
func TestPagesShowEveryItemOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, want := newCatalogue(), []string{}
		titles := rapid.SampledFrom([]string{"Mug", "mug", "Jug", "Tea towel", "Ä"})
		n := rapid.IntRange(0, 30).Draw(t, "items")
		for i := range n {
			sku := fmt.Sprintf("SKU-%d", i)
			want = append(want, sku)
			if err := c.apply(itemListed(sku, titles.Draw(t, "title"), "")); err != nil {
				t.Fatal(err)
			}
		}
		c.finishLoading()
		limit := rapid.IntRange(1, 10).Draw(t, "limit")
		var got []string
		cursor := ""
		for page := 0; ; page++ {
			offers, next, err := c.page("", cursor, limit)
			if err != nil || len(offers) > limit {
				t.Fatal(err, len(offers))
			}
			for _, o := range offers {
				got = append(got, o.Item.SKU)
			}
			if next == "" {
				break
			}
			cursor = next
			if page > 100 {
				t.Fatal("got more than 100 pages, want an end")
			}
			if page > 5 {
				continue
			}
			if err := c.apply(itemListed(fmt.Sprintf("NEW-%d", page), titles.Draw(t, "new title"), "")); err != nil {
				t.Fatal(err)
			}
		}
		got = slices.DeleteFunc(got, func(sku string) bool { return strings.HasPrefix(sku, "NEW") })
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("items of all pages: got %v, want %v", got, want)
		}
	})
}

// BenchmarkSearch searches 100,000 items for a word that none has, which is the slowest request.
func BenchmarkSearch(b *testing.B) {
	c := newCatalogue()
	for i := range 100_000 {
		sku := fmt.Sprintf("SKU-%d", i)
		if err := c.apply(itemListed(sku, "Hand painted ceramic jug number "+sku, "Holds a litre; dishwasher safe; made near the sea.", "kitchen", "gift")); err != nil {
			b.Fatal(err)
		}
	}
	c.finishLoading()
	for b.Loop() {
		if _, _, err := c.page("kitchen zeppelin", "", DefaultPage); err != nil {
			b.Fatal(err)
		}
	}
}
