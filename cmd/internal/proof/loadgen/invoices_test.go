package loadgen_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/seed"
	"tillstream/events"
)

func openSales(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

var salesFile = filepath.Join("testdata", "sales.csv")

// prices of the catalogue differ from those of the file: what the shop charges counts.
var prices = map[string]events.Money{"10001": pence(130), "10002A": pence(1000), "10003": pence(21), "99999": pence(5)}

func pence(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }

func TestReplayMakesBasketPerInvoice(t *testing.T) {
	t.Parallel()
	invoices, err := loadgen.ReadInvoices(openSales(t, salesFile), seed.AnyDate, prices)
	if err != nil {
		t.Fatal(err)
	}
	var got []loadgen.Basket
	replay := loadgen.NewReplay("run", invoices.List)
	for b, ok := replay.Next(); ok; b, ok = replay.Next() {
		got = append(got, b)
	}
	want := []loadgen.Basket{
		{Key: "run-700001", Email: "customer-15001@example.com", Name: "Customer 15001", Locale: "en", Country: "GB",
			Lines: []loadgen.Line{{SKU: "10001", Quantity: 10}, {SKU: "10002A", Quantity: 2}}, Staff: true},
		{Key: "run-700004", Email: "guest-700004@example.com", Name: "Guest", Locale: "de", Country: "DE",
			Lines: []loadgen.Line{{SKU: "10003", Quantity: 100}}, Staff: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("baskets (-want +got):\n%s", diff)
	}
	demand := map[string]int64{"10001": 10, "10002A": 2, "10003": 100}
	if diff := cmp.Diff(demand, loadgen.Demand(loadgen.NewReplay("run", invoices.List))); diff != "" {
		t.Errorf("demand (-want +got):\n%s", diff)
	}
	var text bytes.Buffer
	if err := invoices.WriteLeftOut(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"11 lines in the file, 2 invoices to buy", "2 lines left out: not goods", "1 line left out: credit note",
		"1 line left out: price 0", "1 line left out: bad quantity", "3 invoices left out: no line is a sale (700003, 700005, 700007)",
		"1 line left out: invoice without a known country", "1 invoice left out: country has no ISO 3166-1 code (700006)"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the summary lacks %q:\n%s", part, &text)
		}
	}
}

func TestFileWithoutSalesIsRefused(t *testing.T) {
	t.Parallel()
	header := strings.Join(seed.Columns, ",") + "\n"
	for name, test := range map[string]struct {
		lines  string
		listed map[string]events.Money
		text   string
	}{
		"OnlyHeader": {"", prices, "all of its lines are left out (0)"},
		"Postage":    {"1,POST,POSTAGE,1,2010-12-01,18,,France\n", prices, "all of its lines are left out (1)"},
		"NotListed":  {"1,10001,MUG,1,2010-12-01,1.25,,France\n", nil, "ops import-items"},
		"NoCountry":  {"1,10001,MUG,1,2010-12-01,1.25,,Unspecified\n", prices, "all of its lines are left out (1)"},
	} {
		in, err := loadgen.ReadInvoices(strings.NewReader(header+test.lines), seed.AnyDate, test.listed)
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Check(); !errors.Is(err, loadgen.ErrNoSales) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: got %v, want ErrNoSales with %q", name, err, test.text)
		}
	}
}
