package loadgen_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/loadgen"
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

// catalogue prices on purpose differ from the file's: what counts is what the shop asks.
var prices = map[string]events.Money{"10001": pence(130), "10002A": pence(1000), "10003": pence(21), "99999": pence(5)}

func pence(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }

func TestReplayOfInvoices(t *testing.T) {
	t.Parallel()
	invoices, err := loadgen.ReadInvoices(openSales(t, salesFile))
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
			Lines: []loadgen.Line{{SKU: "10001", Quantity: 10}, {SKU: "10002A", Quantity: 2}}},
		{Key: "run-700004", Email: "guest-700004@example.com", Name: "Guest", Locale: "de", Country: "DE",
			Lines: []loadgen.Line{{SKU: "10003", Quantity: 100}}},
		{Key: "run-700006", Email: "customer-15003@example.com", Name: "Customer 15003", Locale: "en", Country: "European Community",
			Lines: []loadgen.Line{{SKU: "10002A", Quantity: 1}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	demand := map[string]int64{"10001": 10, "10002A": 3, "10003": 100}
	if diff := cmp.Diff(demand, loadgen.Demand(loadgen.NewReplay("run", invoices.List))); diff != "" {
		t.Error(diff)
	}
	var text bytes.Buffer
	if err := invoices.WriteLeftOut(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"11 lines in the file, 3 invoices to buy", "2 lines left out: not goods", "1 lines left out: credit note",
		"1 lines left out: price 0", "1 lines left out: bad quantity", "3 invoices left out", "700003, 700005, 700007"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("does not say %q:\n%s", part, &text)
		}
	}
}

func TestSumOfTheFile(t *testing.T) {
	t.Parallel()
	sum, err := loadgen.SumFile(openSales(t, salesFile), prices)
	if err != nil {
		t.Fatal(err)
	}
	want := loadgen.Sum{Source: "file at catalogue prices", Orders: 3, Units: map[string]int64{"10001": 10, "10002A": 3, "10003": 100},
		Goods: pence(10*130 + 3*1000 + 100*21)}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}
	if sum.TotalUnits() != 113 {
		t.Errorf("%d units; want 113", sum.TotalUnits())
	}
	if _, err := loadgen.SumFile(strings.NewReader("a,b\n1,2\n"), prices); !errors.Is(err, loadgen.ErrBadFile) {
		t.Errorf("got %v", err)
	}
	if _, err := loadgen.SumFile(openSales(t, salesFile), map[string]events.Money{"10003": pence(1 << 60)}); !errors.Is(err, events.ErrMoney) {
		t.Errorf("an overflow: got %v", err)
	}
}

// TestTwoReadingsOfARealFile compares the orders that would be placed with the independent sum, on a real shop's week.
func TestTwoReadingsOfARealFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", "..", "shared", "data", "online-retail-2010-12.csv")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real file is not there: %v", err)
	}
	invoices, err := loadgen.ReadInvoices(openSales(t, path))
	if err != nil {
		t.Fatal(err)
	}
	demand := loadgen.Demand(loadgen.NewReplay("run", invoices.List))
	listed := map[string]events.Money{}
	for sku := range demand {
		listed[sku] = pence(1)
	}
	sum, err := loadgen.SumFile(openSales(t, path), listed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(demand, sum.Units); diff != "" {
		t.Error(diff)
	}
	if sum.Orders != len(invoices.List) || sum.Orders < 400 || sum.TotalUnits() != sum.Goods.Amount {
		t.Errorf("%d orders and %d units for %s; want %d, and a penny a unit", sum.Orders, sum.TotalUnits(), sum.Goods, len(invoices.List))
	}
	replay := loadgen.NewReplay("run", invoices.List)
	for b, ok := replay.Next(); ok; b, ok = replay.Next() {
		if len(b.Country) != 2 {
			t.Errorf("invoice %s goes to %q", b.Key, b.Country)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	want := loadgen.Sum{Source: "file", Orders: 2, Units: map[string]int64{"A": 3, "B": 4}, Goods: pence(700), Revenue: pence(750)}
	same := want
	same.Source = "orders"
	cases := map[string]struct {
		other loadgen.Sum
		want  []loadgen.Difference
	}{
		"Same":    {same, nil},
		"Unknown": {loadgen.Sum{Source: "payments", Orders: 2, Revenue: pence(750)}, nil},
		"Orders":  {loadgen.Sum{Source: "x", Orders: 1}, []loadgen.Difference{{Figure: "orders", Source: "x", Says: "1", Want: "2"}}},
		"UnitsEachWay": {loadgen.Sum{Source: "x", Orders: 2, Units: map[string]int64{"B": 5, "C": 1}}, []loadgen.Difference{
			{Figure: "units of A", Source: "x", Says: "0", Want: "3"},
			{Figure: "units of B", Source: "x", Says: "5", Want: "4"},
			{Figure: "units of C", Source: "x", Says: "1", Want: "0"}}},
		"Penny": {loadgen.Sum{Source: "x", Orders: 2, Goods: pence(701), Revenue: pence(749)}, []loadgen.Difference{
			{Figure: "goods", Source: "x", Says: "7.01 GBP", Want: "7.00 GBP"},
			{Figure: "revenue", Source: "x", Says: "7.49 GBP", Want: "7.50 GBP"}}},
		"Currency": {loadgen.Sum{Source: "x", Orders: 2, Revenue: events.Money{Amount: 750, Currency: "EUR"}}, []loadgen.Difference{
			{Figure: "revenue", Source: "x", Says: "7.50 EUR", Want: "7.50 GBP"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, loadgen.Compare([]loadgen.Sum{want, c.other})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
