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

func TestSumFileUsesCataloguePrices(t *testing.T) {
	t.Parallel()
	sum, err := loadgen.SumFile(openSales(t, salesFile), seed.AnyDate, prices)
	if err != nil {
		t.Fatal(err)
	}
	want := loadgen.Sum{Source: "file at catalogue prices", Orders: 2, Units: map[string]int64{"10001": 10, "10002A": 2, "10003": 100},
		Goods: pence(10*130 + 2*1000 + 100*21)}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Errorf("sum (-want +got):\n%s", diff)
	}
	if sum.TotalUnits() != 112 {
		t.Errorf("got %d units, want 112", sum.TotalUnits())
	}
	if _, err := loadgen.SumFile(strings.NewReader("a,b\n1,2\n"), seed.AnyDate, prices); !errors.Is(err, seed.ErrHeader) {
		t.Errorf("other columns: got %v, want ErrHeader", err)
	}
	if _, err := loadgen.SumFile(openSales(t, salesFile), seed.AnyDate, map[string]events.Money{"10003": pence(1 << 60)}); !errors.Is(err, events.ErrMoney) {
		t.Errorf("overflow: got %v, want ErrMoney", err)
	}
}

func TestCompareNamesDifferences(t *testing.T) {
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
		"Orders":  {loadgen.Sum{Source: "x", Orders: 1}, []loadgen.Difference{{Figure: "orders", Source: "x", Got: "1", Want: "2"}}},
		"UnitsEachWay": {loadgen.Sum{Source: "x", Orders: 2, Units: map[string]int64{"B": 5, "C": 1}}, []loadgen.Difference{
			{Figure: "units of A", Source: "x", Got: "0", Want: "3"},
			{Figure: "units of B", Source: "x", Got: "5", Want: "4"},
			{Figure: "units of C", Source: "x", Got: "1", Want: "0"}}},
		"Penny": {loadgen.Sum{Source: "x", Orders: 2, Goods: pence(701), Revenue: pence(749)}, []loadgen.Difference{
			{Figure: "goods", Source: "x", Got: "7.01 GBP", Want: "7.00 GBP"},
			{Figure: "revenue", Source: "x", Got: "7.49 GBP", Want: "7.50 GBP"}}},
		"Currency": {loadgen.Sum{Source: "x", Orders: 2, Revenue: events.Money{Amount: 750, Currency: "EUR"}}, []loadgen.Difference{
			{Figure: "revenue", Source: "x", Got: "7.50 EUR", Want: "7.50 GBP"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, loadgen.Compare([]loadgen.Sum{want, c.other})); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

// Sources without a single order do not count as agreement.
func TestEmptySumsDoNotAgree(t *testing.T) {
	t.Parallel()
	sums := []loadgen.Sum{{Source: "file"}, {Source: "orders"}, {Source: "payments"}}
	var text bytes.Buffer
	if err := loadgen.WriteSums(&text, sums, loadgen.Compare(sums)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "agree") || !strings.Contains(text.String(), "nothing was bought") || !loadgen.NothingSold(sums) {
		t.Errorf("got a table that does not say that nothing was bought:\n%s", &text)
	}
	if sums[2].Orders = 1; loadgen.NothingSold(sums) {
		t.Error("one order at one source: got nothing sold, want an order")
	}
}

// readTwice compares the orders made from a file with its independent sum, in a shop that lists the items of that file.
func readTwice(t *testing.T, path string) (loadgen.Invoices, loadgen.Sum) {
	t.Helper()
	items, err := seed.ReadCSV(openSales(t, path), seed.AnyDate)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]events.Money{}
	for _, item := range items.Items {
		listed[item.SKU] = item.Price
	}
	invoices, err := loadgen.ReadInvoices(openSales(t, path), seed.AnyDate, listed)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := loadgen.SumFile(openSales(t, path), seed.AnyDate, listed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(loadgen.Demand(loadgen.NewReplay("run", invoices.List)), sum.Units); diff != "" {
		t.Errorf("units (-orders +file):\n%s", diff)
	}
	if sum.Orders != len(invoices.List) {
		t.Errorf("got %d orders, want %d", sum.Orders, len(invoices.List))
	}
	replay := loadgen.NewReplay("run", invoices.List)
	for b, ok := replay.Next(); ok; b, ok = replay.Next() {
		if len(b.Country) != 2 {
			t.Errorf("invoice %s: got country %q, want a code of two letters", b.Key, b.Country)
		}
	}
	return invoices, sum
}

// Both readers agree on the sales of a real shop: on the shipped sample, and on the larger file where there is one.
func TestReadersAgreeOnRealFile(t *testing.T) {
	t.Parallel()
	larger := os.Getenv("ONLINE_RETAIL_CSV")
	if larger == "" {
		larger = filepath.Join("..", "..", "..", "..", "..", "shared", "data", "online-retail-2010-12.csv")
	}
	for name, test := range map[string]struct {
		path        string
		orders      int
		units       int64
		skus, goods int64
	}{
		"Sample": {filepath.Join("..", "..", "seed", "testdata", "online-retail-sample.csv"), 56, 12_234, 543, 24_415_58},
		"Larger": {larger, 423, 90_007, 1958, 177_897_45},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(test.path); err != nil && name == "Larger" {
				t.Skipf("no larger file, which ONLINE_RETAIL_CSV may name: %v", err)
			}
			_, sum := readTwice(t, test.path)
			if sum.Orders != test.orders || sum.TotalUnits() != test.units || int64(len(sum.Units)) != test.skus || sum.Goods.Amount != test.goods {
				t.Errorf("got %d orders, %d units of %d SKUs for %s, want %d, %d, %d, %s",
					sum.Orders, sum.TotalUnits(), len(sum.Units), sum.Goods, test.orders, test.units, test.skus, pence(test.goods))
			}
		})
	}
}

// Both readers leave out the same malformed lines: a line that only one of them accepts would show as a fault of the shop.
func TestReadersAgreeOnMalformedLines(t *testing.T) {
	t.Parallel()
	good := []string{"700001", "10001", "BLUE TIN MUG", "6", "2010-12-01", "1.25", "15001", "United Kingdom"}
	bad := map[int][]string{
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
	for column, texts := range bad {
		for _, text := range texts {
			for _, goodFirst := range []bool{true, false} { // the good line of the same invoice is before or after the bad one
				number++
				line := slices.Clone(good)
				line[0] = strconv.Itoa(number)
				first := strings.Join(line, ",")
				if line[column] = text; goodFirst {
					lines = append(lines, first)
				}
				lines = append(lines, strings.Join(line, ","))
				if !goodFirst {
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
	if invoices, _ := readTwice(t, path); len(invoices.List) < 100 || len(invoices.Empty) == 0 || len(invoices.NoCountry) == 0 {
		t.Errorf("got %d invoices, %d empty and %d without a country, want 100 and some of each", len(invoices.List), len(invoices.Empty), len(invoices.NoCountry))
	}
}
