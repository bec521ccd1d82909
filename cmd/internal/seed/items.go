package seed

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"time"

	"tillstream/events"
	"tillstream/inventory"
)

// Refusal is one line that made no item, and why.
type Refusal struct {
	Line   int // in the file; the header is line 1
	Reason Reason
	Detail string
	Text   string // the line as it stands in the file
}

// Result is what a ledger says about the assortment.
type Result struct {
	Items   []inventory.Listing // by SKU
	Refused []Refusal           // by line
	Lines   int                 // read, the header and empty ones not counted
}

// article is what the lines of one stock code say together.
type article struct {
	title      string
	titleDate  time.Time
	prices     map[int64]*tally
	sold       int64
	occurrence []occurrence
}

type tally struct {
	count int
	last  int // line
}

type occurrence struct {
	line int
	text string
}

// ReadCSV makes one item per stock code that is goods:
//
//   - Title: its newest description that can be one and is not a remark of staff; of two on one day the one further down.
//     An article that has none is called by its SKU, so that what was sold can be sold again.
//   - Price: its most common price above zero, credit notes included; of two equally common ones the one used last.
//   - Stock: all that was ever sold of it, which is the sum of positive quantities on invoices that are not credit notes.
//
// An article that never had a price makes no item; its lines are refused as [NeverPriced]. The error is of the reader,
// [ErrHeader] or [ErrDates]; a bad line is not an error.
func ReadCSV(r io.Reader, dates DateFormat) (Result, error) {
	var result Result
	articles := map[string]*article{}
	err := scan(r, dates, func(row Row, l line, refused *refusedError) {
		result.Lines++
		if refused != nil {
			result.Refused = append(result.Refused, Refusal{Line: row.Number, Reason: refused.reason, Detail: refused.detail, Text: row.Text})
			return
		}
		a := articles[l.sku]
		if a == nil {
			a = &article{prices: map[int64]*tally{}}
			articles[l.sku] = a
		}
		a.learn(l)
		a.occurrence = append(a.occurrence, occurrence{line: row.Number, text: row.Text})
	})
	if err != nil {
		return Result{}, err
	}
	for _, sku := range slices.Sorted(maps.Keys(articles)) {
		result.add(sku, articles[sku])
	}
	slices.SortFunc(result.Refused, func(a, b Refusal) int { return cmp.Compare(a.Line, b.Line) })
	return result, nil
}

func (a *article) learn(l line) {
	if isTitle(l.description) && !l.date.Before(a.titleDate) {
		a.title, a.titleDate = l.description, l.date
	}
	if l.price > 0 {
		t := a.prices[l.price]
		if t == nil {
			t = &tally{}
			a.prices[l.price] = t
		}
		t.count, t.last = t.count+1, l.number
	}
	if l.quantity > 0 && !l.isCredit() {
		a.sold = min(a.sold+l.quantity, inventory.MaxQuantity)
	}
}

// price is the most common one; 0 when there is none.
func (a *article) price() int64 {
	var best int64
	var top tally
	for price, t := range a.prices {
		if t.count > top.count || (t.count == top.count && t.last > top.last) {
			best, top = price, *t
		}
	}
	return best
}

// add lists an article, or refuses all its lines.
func (r *Result) add(sku string, a *article) {
	price := a.price()
	if price == 0 {
		r.refuseAll(a, NeverPriced, sku)
		return
	}
	r.Items = append(r.Items, inventory.Listing{SKU: sku, Title: cmp.Or(a.title, sku),
		Price: events.Money{Amount: price, Currency: Currency}, OnHand: &a.sold, Reason: "import"})
}

func (r *Result) refuseAll(a *article, reason Reason, detail string) {
	for _, o := range a.occurrence {
		r.Refused = append(r.Refused, Refusal{Line: o.line, Reason: reason, Detail: detail, Text: o.text})
	}
}
