package invariants

import (
	"cmp"
	"slices"
	"time"
)

// The invariants that are checked, in the order that they are reported.
const (
	OrdersEnd     = "I1"
	CapturedOnce  = "I2"
	StockAddsUp   = "I3"
	MailedOnce    = "I4"
	MoneyForGoods = "I5"
	ArchivedAll   = "I6"
	NoDeadLetters = "I8"
)

// titles say what each invariant promises, in the words of an operator.
var titles = []struct{ invariant, title string }{
	{OrdersEnd, "every order is final or on its way"},
	{CapturedOnce, "nobody is charged twice or too much"},
	{StockAddsUp, "stock adds up and nothing is oversold"},
	{MailedOnce, "no mail is sent twice"},
	{MoneyForGoods, "money kept is money for goods"},
	{ArchivedAll, "log and archive hold the same events"},
	{NoDeadLetters, "no event is an unexpected dead letter"},
}

// Finding is one thing that is not as promised.
type Finding struct {
	Invariant string `json:"invariant"` // such as "I3"
	Subject   string `json:"subject"`   // such as "order 0198…", "SKU MUG-1", "sequence 17"
	Detail    string `json:"detail"`
}

// Checked is what became of one invariant.
type Checked struct {
	Invariant string `json:"invariant"`
	Title     string `json:"title"`
	Findings  int    `json:"findings"`
	Scope     string `json:"scope"`             // what was looked at, such as "5,000 orders"
	Skipped   string `json:"skipped,omitempty"` // what was not checked, and why
	Hint      string `json:"hint,omitempty"`    // with findings: the command that helps
}

// OpenItem is money that is not where it belongs yet, and is known not to be: a refund that waits or failed.
type OpenItem struct {
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
}

// Counts are how much was looked at.
type Counts struct {
	Events      uint64         `json:"events"`
	Orders      int            `json:"orders"`
	ByStatus    map[string]int `json:"by_status"`
	Progressing int            `json:"progressing"` // not final yet, and not overdue
	SKUs        int            `json:"skus"`
	Mails       int            `json:"mails"`
	Unreadable  int            `json:"unreadable"` // messages that are no events of ours, or of unknown shape
	DeadLetters int            `json:"dead_letters"`
	Seconds     float64        `json:"seconds"`
}

// Report is the answer of [Check].
type Report struct {
	OK        bool       `json:"ok"`
	Findings  []Finding  `json:"findings"`
	Checks    []Checked  `json:"checks"`
	OpenItems []OpenItem `json:"open_items"`
	Counts    Counts     `json:"counts"`
}

// seal puts findings in order, counts them and draws the conclusion.
func (r *Report) seal(scopes, skipped map[string]string, took time.Duration) {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Invariant, b.Invariant), cmp.Compare(a.Subject, b.Subject))
	})
	slices.SortFunc(r.OpenItems, func(a, b OpenItem) int { return cmp.Compare(a.Subject, b.Subject) })
	for _, t := range titles {
		c := Checked{Invariant: t.invariant, Title: t.title, Scope: scopes[t.invariant], Skipped: skipped[t.invariant]}
		for _, f := range r.Findings {
			if f.Invariant == t.invariant {
				c.Findings++
			}
		}
		r.Checks = append(r.Checks, c)
	}
	r.OK = len(r.Findings) == 0
	r.Counts.Seconds = took.Seconds()
}
