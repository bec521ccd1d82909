package seed

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tillstream/events"
	"tillstream/inventory"
)

// Refusal is a line that was refused.
type Refusal struct {
	Line   int // number in the file; the header is line 1
	Reason Reason
	Detail string
	Text   string // the line as it is in the file
}

// Result is the items of a ledger and its refused lines.
type Result struct {
	Items   []inventory.Listing // by SKU
	Refused []Refusal           // by line
	Lines   int                 // of the file, without the header and empty lines
}

// item collects the lines of one stock code.
type item struct {
	title     string
	titleDate time.Time
	prices    map[int64]*tally
	sold      int64
	lines     []occurrence
}

// tally counts how often an item was sold at a price.
type tally struct {
	count int
	last  int // number of the last line
}

// occurrence is a line about an item.
type occurrence struct {
	line int
	text string
}

// ReadCSV returns one item per stock code of goods:
//
//   - Title: its newest description that is printable and not a remark of staff; of two on one day the later line. Without
//     one the title is the SKU.
//   - Price: its most common price above zero, credit notes included; of two equally common ones the one used last.
//   - Stock: the sum of positive quantities on invoices that are not credit notes, so that all sales can be repeated.
//
// A stock code that never had a price makes no item: its lines are refused as [NeverPriced]. The error is of the reader,
// [ErrHeader] or [ErrDates]; a bad line is not an error.
func ReadCSV(r io.Reader, dates DateFormat) (Result, error) {
	var result Result
	items := map[string]*item{}
	err := scan(r, dates, func(row Row, l line, refused *refusedError) {
		result.Lines++
		if refused != nil {
			result.Refused = append(result.Refused, Refusal{Line: row.Number, Reason: refused.reason, Detail: refused.detail, Text: row.Text})
			return
		}
		it := items[l.sku]
		if it == nil {
			it = &item{prices: map[int64]*tally{}}
			items[l.sku] = it
		}
		it.addLine(l)
		it.lines = append(it.lines, occurrence{line: row.Number, text: row.Text})
	})
	if err != nil {
		return Result{}, err
	}
	for _, sku := range slices.Sorted(maps.Keys(items)) {
		result.add(sku, items[sku])
	}
	slices.SortFunc(result.Refused, func(a, b Refusal) int { return cmp.Compare(a.Line, b.Line) })
	return result, nil
}

// addLine takes the title, the price and the sold units from a line.
func (it *item) addLine(l line) {
	if isTitle(l.description) && !l.date.Before(it.titleDate) {
		it.title, it.titleDate = l.description, l.date
	}
	if l.price > 0 {
		t := it.prices[l.price]
		if t == nil {
			t = &tally{}
			it.prices[l.price] = t
		}
		t.count, t.last = t.count+1, l.number
	}
	if l.quantity > 0 && !l.isCredit() {
		it.sold = min(it.sold+l.quantity, inventory.MaxQuantity)
	}
}

// price returns the most common price; 0 if there is none.
func (it *item) price() int64 {
	var best int64
	var top tally
	for price, t := range it.prices {
		if t.count > top.count || (t.count == top.count && t.last > top.last) {
			best, top = price, *t
		}
	}
	return best
}

// add lists an item, or refuses all its lines.
func (r *Result) add(sku string, it *item) {
	price := it.price()
	if price == 0 {
		r.refuseAll(it, NeverPriced, sku)
		return
	}
	r.Items = append(r.Items, inventory.Listing{SKU: sku, Title: cmp.Or(it.title, sku),
		Price: events.Money{Amount: price, Currency: Currency}, OnHand: &it.sold, Reason: "import"})
}

func (r *Result) refuseAll(it *item, reason Reason, detail string) {
	for _, o := range it.lines {
		r.Refused = append(r.Refused, Refusal{Line: o.line, Reason: reason, Detail: detail, Text: o.text})
	}
}

// remarks are first words of the descriptions that staff enter when they correct stock.
var remarks = map[string]bool{
	"adjustment": true, "amazon": true, "barcode": true, "breakages": true, "broken": true, "check": true, "counted": true,
	"cracked": true, "crushed": true, "damage": true, "damaged": true, "damages": true, "dotcom": true, "ebay": true,
	"faulty": true, "found": true, "lost": true, "missing": true, "mouldy": true, "oops": true, "rusty": true, "sale": true,
	"sold": true, "test": true, "thrown": true, "unsaleable": true, "wet": true, "wrong": true, "wrongly": true,
}

// maxTitle is the shop's maximum length of a title, in characters.
const maxTitle = 200

// isTitle reports whether a description can be the title of an item.
func isTitle(description string) bool {
	printable := !strings.ContainsFunc(description, func(r rune) bool { return !unicode.IsPrint(r) })
	return description != "" && utf8.RuneCountInString(description) <= maxTitle && printable && !isRemark(description)
}

// isRemark reports whether a description is a remark of staff ("damaged", "?", "wrong code?", "Found"). The ledger has titles
// in capitals, so a description without a capital letter or with a question mark is a remark, and so is one that begins
// with one of the remarks above, unless more words in capitals follow ("WET WIPES").
func isRemark(description string) bool {
	if strings.Contains(description, "?") || !strings.ContainsFunc(description, unicode.IsUpper) {
		return true
	}
	first, rest, _ := strings.Cut(description, " ")
	if !remarks[strings.ToLower(strings.Trim(first, ".,;:!"))] {
		return false
	}
	return rest == "" || strings.ContainsFunc(description, unicode.IsLower)
}
