package seed

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/inventory"
)

func ledger(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type listed struct {
	Title        string
	Pence, Stock int64
}

func bySKU(listings []inventory.Listing) map[string]listed {
	items := map[string]listed{}
	for _, l := range listings {
		items[l.SKU] = listed{l.Title, l.Price.Amount, *l.OnHand}
	}
	return items
}

func TestReadCSVReturnsItems(t *testing.T) {
	got, err := ReadCSV(bytes.NewReader(ledger(t, "testdata/ledger.csv")), AnyDate)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]listed{
		// Upper and lower case are one item; the newest description is that of the credit note, a later line of the same
		// day; 2.55 is the most common price; 6 + 2 + 1 were sold.
		"20001A": {"GREEN GLASS LAMP", 255, 9},
		"20002":  {"SOAP, LEMON", 85, 22},   // remarks of staff are no title; units at price 0 count as stock
		"20003":  {"TIN ROBOT RED", 495, 4}, // two equally common prices: the one used last
		"20005":  {"20005", 110, 5},         // "Found" is no title
		"20006":  {"PAPER CHAIN", 100, 2},   // only the line that can be parsed
		"20 006": {"SPACE IN CODE", 100, 1}, // a space is part of the code
	}
	if diff := cmp.Diff(want, bySKU(got.Items)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if got.Lines != 27 {
		t.Errorf("got %d lines, want 27", got.Lines)
	}
	if l := got.Items[0]; l.Price.Currency != "GBP" || l.Reason != "import" {
		t.Errorf("got %+v, want a price in GBP and the reason import", l)
	}
}

func TestReadCSVRefusesBadLines(t *testing.T) {
	got, err := ReadCSV(bytes.NewReader(ledger(t, "testdata/ledger.csv")), AnyDate)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[int]Reason{}
	for i, r := range got.Refused {
		reasons[r.Line] = r.Reason
		if i > 0 && got.Refused[i-1].Line >= r.Line {
			t.Errorf("got line %d after %d, want them in order", r.Line, got.Refused[i-1].Line)
		}
		if r.Detail == "" || !strings.HasPrefix(r.Text, "C70") && !strings.HasPrefix(r.Text, "70") {
			t.Errorf("got %+v, want a detail and the text of the line", r)
		}
	}
	want := map[int]Reason{5: NotGoods, 10: NotGoods, 13: NeverPriced, 15: NotGoods, 17: Malformed, 18: Malformed, 20: BadSKU,
		21: BadQuantity, 22: BadQuantity, 23: BadPrice, 24: BadPrice, 25: BadPrice, 26: BadDate, 28: NotGoods, 29: NotGoods}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Errorf("reasons by line (-want +got):\n%s", diff)
	}
}

func TestInvoicesSumLinesAndCountOthers(t *testing.T) {
	got, err := Invoices(bytes.NewReader(ledger(t, "testdata/ledger.csv")), AnyDate, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Sales{
		Invoices: []Invoice{
			{"700001", "11001", "GB", []InvoiceLine{{"20001A", 8}, {"20002", 12}}},
			{"700002", "11002", "IE", []InvoiceLine{{"20001A", 1}, {"20003", 4}}},
			{"700007", "11003", "FR", []InvoiceLine{{"20005", 5}}},
			{"700009", "11003", "FR", []InvoiceLine{{"20 006", 1}, {"20006", 2}}},
		},
		LeftOut: map[Reason]int{NotGoods: 5, CreditNote: 1, NoQuantity: 1, NoPrice: 2, Malformed: 2, BadSKU: 1, BadQuantity: 2, BadPrice: 3, BadDate: 1},
		Empty:   []string{"700004", "700005", "700006", "700008", "700010"},
		Lines:   27,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sales (-want +got):\n%s", diff)
	}
}

func TestPriceIsParsedExactly(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "0.01": 1, "2.55": 255, "18": 1800, "4.2": 420, "1.10": 110, "569.77": 56977, "1.000": 100,
		"999999.99": inventory.MaxPrice, " 2.55 ": 255} {
		if got, err := parsePence(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.", ".5", "1,50", "0.001", "1.005", "1e2", "NaN", "Inf", "£2", "0x10", "1000000", "9223372036854775807", "1.2.3", "١"} {
		if got, err := parsePence(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestRemarksAreRecognized(t *testing.T) {
	for text, want := range map[string]bool{
		"damaged": true, "?": true, "wet?": true, "Found": true, "Damaged": true, "DAMAGED": true, "amazon": true, "Unsaleable, destroyed.": true,
		"wrongly coded 20713": true, "Sold as sets": true, "???missing": true, "OOPS ! adjustment": true,
		"WHITE METAL LANTERN": false, "Dr. Jam's Arouzer Stress Ball": false, "BAG 500g SWIRLY MARBLES": false, "FOUND IN THE WOODS PUZZLE": false,
		"3 TRADITIONAl BISCUIT CUTTERS  SET": false, "POLYESTER FILLER PAD 45x45cm": false,
	} {
		if got := isRemark(text); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "other columns": "sku,title,price\nA,B,1\n", "no header": "700001,20001A,LAMP,6,1/12/2010,2.55,11001,UK\n"} {
		if _, err := ReadCSV(strings.NewReader(text), AnyDate); !errors.Is(err, ErrHeader) {
			t.Errorf("%s: got %v, want ErrHeader", name, err)
		}
		if _, err := Invoices(strings.NewReader(text), AnyDate, nil); !errors.Is(err, ErrHeader) {
			t.Errorf("%s: got %v, want ErrHeader", name, err)
		}
	}
	broken := io.MultiReader(strings.NewReader(strings.Join(Columns, ",")+"\n"), brokenReader{})
	if _, err := ReadCSV(broken, AnyDate); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken reader: got %v, want its error", err)
	}
	long := strings.Join(Columns, ",") + "\n" + strings.Repeat("x", maxLine+1)
	if _, err := ReadCSV(strings.NewReader(long), AnyDate); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("endless line: got %v, want an error with its number", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestDemoCanBeListed(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range Demo() {
		if err := l.Check(nil); err != nil || seen[l.SKU] || l.Description == "" || len(l.Tags) == 0 || l.OnHand == nil {
			t.Errorf("got %+v: %v, want a complete listing with a SKU of its own", l, err)
		}
		seen[l.SKU] = true
	}
	if len(seen) != 24 {
		t.Errorf("got %d items, want 24", len(seen))
	}
}

// ledgerFacts are figures of a real ledger.
type ledgerFacts struct {
	Lines, Items, Refused, Invoices, Empty, LeftOut int
	Units                                           int64
}

// The shipped sample of a real shop, and the larger file where there is one, give known figures. All items can be listed, and
// their stock covers all sales.
func TestRealLedgerGivesKnownFigures(t *testing.T) {
	larger := os.Getenv("ONLINE_RETAIL_CSV")
	if larger == "" {
		larger = filepath.Join("..", "..", "..", "..", "shared", "data", "online-retail-2010-12.csv")
	}
	for name, test := range map[string]struct {
		path string
		want ledgerFacts
	}{
		"Sample": {filepath.Join("testdata", "online-retail-sample.csv"), ledgerFacts{Lines: 917, Items: 546, Refused: 3, Invoices: 56, Empty: 1, LeftOut: 12, Units: 12_234}},
		"Larger": {larger, ledgerFacts{Lines: 9999, Items: 1967, Refused: 53, Invoices: 423, Empty: 46, LeftOut: 182, Units: 90_007}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(test.path); err != nil && name == "Larger" {
				t.Skipf("no larger file, which ONLINE_RETAIL_CSV may name: %v", err)
			}
			if diff := cmp.Diff(test.want, factsOf(t, ledger(t, test.path))); diff != "" {
				t.Errorf("figures (-want +got):\n%s", diff)
			}
		})
	}
}

func factsOf(t *testing.T, data []byte) ledgerFacts {
	t.Helper()
	result, err := ReadCSV(bytes.NewReader(data), AnyDate)
	if err != nil {
		t.Fatal(err)
	}
	sales, err := Invoices(bytes.NewReader(data), AnyDate, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sales.Lines != result.Lines {
		t.Errorf("got %d lines for the sales and %d for the items, want the same", sales.Lines, result.Lines)
	}
	facts := ledgerFacts{Lines: result.Lines, Items: len(result.Items), Refused: len(result.Refused), Invoices: len(sales.Invoices), Empty: len(sales.Empty)}
	stock := map[string]int64{}
	for _, l := range result.Items {
		if err := l.Check(nil); err != nil {
			t.Errorf("item %s: %v", l.SKU, err)
		}
		stock[l.SKU] = *l.OnHand
	}
	for _, invoice := range sales.Invoices {
		for _, l := range invoice.Lines {
			facts.Units += l.Quantity
			if stock[l.SKU] -= l.Quantity; stock[l.SKU] < 0 {
				t.Errorf("invoice %s: stock of %s is %d short", invoice.Number, l.SKU, -stock[l.SKU])
			}
		}
	}
	for _, n := range sales.LeftOut {
		facts.LeftOut += n
	}
	return facts
}

// Invoices without a country cannot be shipped, and items that the shop does not list cannot be bought.
func TestInvoicesThatCannotBeOrders(t *testing.T) {
	t.Parallel()
	text := strings.Join(Columns, ",") + `
700001,20001A,LAMP,6,2010-12-01,2.55,11001,united kingdom
700001,20002,SOAP,1,2010-12-01,0.85,11001,United Kingdom
700002,20001A,LAMP,1,2010-12-01,2.55,11002,European Community
700002,20001A,LAMP,1,2010-12-01,2.55,11002,United Kingdom
700003,POST,POSTAGE,1,2010-12-01,18,11002,Unspecified
700004,20001A,LAMP,1,2010-12-01,2.55,11002,
700005,20002,SOAP,1,2010-12-01,0.85,11002,France
`
	got, err := Invoices(strings.NewReader(text), AnyDate, func(sku string) bool { return sku == "20001A" })
	if err != nil {
		t.Fatal(err)
	}
	want := Sales{
		Invoices:  []Invoice{{"700001", "11001", "GB", []InvoiceLine{{"20001A", 6}}}},
		LeftOut:   map[Reason]int{NotGoods: 1, NoCountry: 3, NotListed: 2},
		Empty:     []string{"700003", "700005"},
		NoCountry: []string{"700002", "700004"},
		Lines:     7,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sales (-want +got):\n%s", diff)
	}
}

// A cell that a tool has escaped for spreadsheets is unescaped.
func TestEscapedCellsAreUnescaped(t *testing.T) {
	t.Parallel()
	text := strings.Join(Columns, ",") + "\n700001,20001A,LAMP,'+6,2010-12-01,2.55,11001,France\nC700002,20001A,LAMP,'-6,2010-12-01,2.55,11001,France\n"
	got, err := ReadCSV(strings.NewReader(text), AnyDate)
	if err != nil || len(got.Refused) != 0 || *got.Items[0].OnHand != 6 {
		t.Errorf("got %+v, %v, want 6 units and no refused line", got, err)
	}
}
