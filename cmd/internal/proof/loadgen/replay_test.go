package loadgen_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// catalogue prices on purpose differ from the file's: what counts is what the shop asks.
var prices = map[string]events.Money{"10001": pence(130), "10002A": pence(1000), "10003": pence(21), "99999": pence(5)}

func pence(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }

func TestReplayOfInvoices(t *testing.T) {
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
			Lines: []loadgen.Line{{SKU: "10001", Quantity: 10}, {SKU: "10002A", Quantity: 2}}},
		{Key: "run-700004", Email: "guest-700004@example.com", Name: "Guest", Locale: "de", Country: "DE",
			Lines: []loadgen.Line{{SKU: "10003", Quantity: 100}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	demand := map[string]int64{"10001": 10, "10002A": 2, "10003": 100}
	if diff := cmp.Diff(demand, loadgen.Demand(loadgen.NewReplay("run", invoices.List))); diff != "" {
		t.Error(diff)
	}
	var text bytes.Buffer
	if err := invoices.WriteLeftOut(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"11 lines in the file, 2 invoices to buy", "2 lines left out: not goods", "1 lines left out: credit note",
		"1 lines left out: price 0", "1 lines left out: bad quantity", "3 invoices left out, because no line of theirs is a sale", "700003, 700005, 700007",
		"1 lines left out: invoice without a known country", "1 invoices left out, because their country is none that has a code of its own", "700006"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("does not say %q:\n%s", part, &text)
		}
	}
}

func TestSumOfTheFile(t *testing.T) {
	t.Parallel()
	sum, err := loadgen.SumFile(openSales(t, salesFile), seed.AnyDate, prices)
	if err != nil {
		t.Fatal(err)
	}
	want := loadgen.Sum{Source: "file at catalogue prices", Orders: 2, Units: map[string]int64{"10001": 10, "10002A": 2, "10003": 100},
		Goods: pence(10*130 + 2*1000 + 100*21)}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}
	if sum.TotalUnits() != 112 {
		t.Errorf("%d units; want 112", sum.TotalUnits())
	}
	if _, err := loadgen.SumFile(strings.NewReader("a,b\n1,2\n"), seed.AnyDate, prices); !errors.Is(err, seed.ErrHeader) {
		t.Errorf("got %v", err)
	}
	if _, err := loadgen.SumFile(openSales(t, salesFile), seed.AnyDate, map[string]events.Money{"10003": pence(1 << 60)}); !errors.Is(err, events.ErrMoney) {
		t.Errorf("an overflow: got %v", err)
	}
}

// readTwice compares the orders that would be placed with the independent sum. The shop lists what the file makes items of.
func readTwice(t *testing.T, path string, dates seed.DateFormat) (loadgen.Invoices, loadgen.Sum) {
	t.Helper()
	items, err := seed.ReadCSV(openSales(t, path), dates)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]events.Money{}
	for _, item := range items.Items {
		listed[item.SKU] = pence(1)
	}
	invoices, err := loadgen.ReadInvoices(openSales(t, path), dates, listed)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := loadgen.SumFile(openSales(t, path), dates, listed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(loadgen.Demand(loadgen.NewReplay("run", invoices.List)), sum.Units); diff != "" {
		t.Error(diff)
	}
	if sum.Orders != len(invoices.List) || sum.TotalUnits() != sum.Goods.Amount {
		t.Errorf("%d orders and %d units for %s; want %d, and a penny a unit", sum.Orders, sum.TotalUnits(), sum.Goods, len(invoices.List))
	}
	replay := loadgen.NewReplay("run", invoices.List)
	for b, ok := replay.Next(); ok; b, ok = replay.Next() {
		if len(b.Country) != 2 {
			t.Errorf("invoice %s goes to %q", b.Key, b.Country)
		}
	}
	return invoices, sum
}

// TestTwoReadingsOfARealFile is about a real shop's week.
func TestTwoReadingsOfARealFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", "..", "..", "shared", "data", "online-retail-2010-12.csv")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real file is not there: %v", err)
	}
	if _, sum := readTwice(t, path, seed.AnyDate); sum.Orders != 423 || sum.TotalUnits() != 90007 || len(sum.Units) != 1958 {
		t.Errorf("%d orders, %d units of %d SKUs; want 423, 90007 of 1958", sum.Orders, sum.TotalUnits(), len(sum.Units))
	}
}

// Whatever is wrong with a line, both readings leave it out. What is more than one of them knows is a difference that the
// shop is blamed for.
func TestTwoReadingsOfADirtyFile(t *testing.T) {
	t.Parallel()
	good := []string{"700001", "10001", "BLUE TIN MUG", "6", "2010-12-01", "1.25", "15001", "United Kingdom"}
	spoilt := map[int][]string{
		0: {"", " 700001 ", "C700001", "c700001", " C1"},
		1: {"", "POST", "gift_0001_20", "10001 ", "10001a", "10002", "=10001"},
		2: {`"STRAY`, `STR"AY`, `"A, B"`, "\xff", "'=1"},
		3: {"", "0", "-1", "+6", "0.5", "many", "1000000", "1000001", "9223372036854775808", "'-6"},
		4: {"", "1/12/2010", "31/12/2010 8:26", "2010-12-01T08:26:00Z", "2010-13-01", "1/45/2010", "yesterday", "1/12/10"},
		5: {"", "0", "0.00", "1", "1.", ".5", "0.001", "1.005", "1.10", "1.1000", "1.10000", "-1", "+1", "1e2", "£1", "1,5", "999999.99", "1000000", "00000000001", "0000000001"},
		6: {"", " "},
		7: {"", "Unspecified", "European Community", "Channel Islands", " EIRE ", "france", "Atlantis"},
	}
	lines := []string{strings.Join(seed.Columns, ","), strings.Join(good, ","), "700001,10002,LAMP,1,2010-12-01,9.95,15001,United Kingdom", "too,few", ""}
	number := 700100
	for column, texts := range spoilt {
		for _, text := range texts {
			for _, together := range []bool{true, false} { // with a good line of the same invoice, and alone
				number++
				line := slices.Clone(good)
				line[0] = strconv.Itoa(number)
				first := strings.Join(line, ",")
				if line[column] = text; together {
					lines = append(lines, first)
				}
				lines = append(lines, strings.Join(line, ","))
				if !together {
					lines = append(lines, first)
				}
			}
			number++
			line := slices.Clone(good)
			line[0], line[column] = strconv.Itoa(number), text
			lines = append(lines, strings.Join(line, ","))
		}
	}
	path := filepath.Join(t.TempDir(), "dirty.csv")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if invoices, _ := readTwice(t, path, seed.AnyDate); len(invoices.List) < 100 || len(invoices.Empty) == 0 || len(invoices.NoCountry) == 0 {
		t.Errorf("%d invoices, %d empty, %d without a country", len(invoices.List), len(invoices.Empty), len(invoices.NoCountry))
	}
}

func TestAFileOfNoSalesIsAnError(t *testing.T) {
	t.Parallel()
	header := strings.Join(seed.Columns, ",") + "\n"
	for name, test := range map[string]struct {
		lines  string
		listed map[string]events.Money
		says   string
	}{
		"OnlyHeader": {"", prices, "it has 0 lines"},
		"Postage":    {"1,POST,POSTAGE,1,2010-12-01,18,,France\n", prices, "it has 1 lines, and all are left out"},
		"NotListed":  {"1,10001,MUG,1,2010-12-01,1.25,,France\n", nil, "ops import-items"},
		"NoCountry":  {"1,10001,MUG,1,2010-12-01,1.25,,Unspecified\n", prices, "it has 1 lines, and all are left out"},
	} {
		in, err := loadgen.ReadInvoices(strings.NewReader(header+test.lines), seed.AnyDate, test.listed)
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Check(); !errors.Is(err, loadgen.ErrNoSales) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v; want it to say %q", name, err, test.says)
		}
	}
}

// Sources that know of no sale at all do not agree: there is nothing that they agree on.
func TestNothingIsNoAgreement(t *testing.T) {
	t.Parallel()
	sums := []loadgen.Sum{{Source: "file"}, {Source: "orders"}, {Source: "payments"}}
	var text bytes.Buffer
	if err := loadgen.WriteSums(&text, sums, loadgen.Compare(sums)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "agree") || !strings.Contains(text.String(), "nothing was bought") || !loadgen.NothingSold(sums) {
		t.Errorf("says:\n%s", &text)
	}
	if sums[2].Orders = 1; loadgen.NothingSold(sums) {
		t.Error("an order that one source knows of is nothing")
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
