package invariants

import (
	"cmp"
	"slices"
	"time"

	"tillstream/events/replay"
)

// The invariants that are checked, in the order of the report.
const (
	OrdersEnd     = "I1"
	CapturedOnce  = "I2"
	StockAddsUp   = "I3"
	MailedOnce    = "I4"
	MoneyForGoods = "I5"
	ArchivedAll   = "I6"
	NoDeadLetters = "I8"
	Readable      = "I9"
)

// promises has, for each invariant, its title for operators and the commands that help if it is broken.
var promises = []struct{ invariant, title, hint string }{
	{OrdersEnd, "every order is final or on its way", "ops timeline ORDER shows where an order stopped; ops lag and ops deadletters show why"},
	{CapturedOnce, "no order is charged twice or too much", "ops timeline ORDER shows the payments; compare them with Stripe's dashboard, and refund there what was taken too much"},
	{StockAddsUp, "stock adds up, nothing is oversold", "ops tail --domain inventory --since 24h shows the movements; count the stock again, and see ops void --help about a wrong event"},
	{MailedOnce, "no mail is sent twice", "ops timeline ORDER shows the mails of an order and the mail server's answers"},
	{MoneyForGoods, "money kept is the price of goods sold", "ops timeline ORDER shows captures and refunds; refund what is missing in Stripe's dashboard"},
	{ArchivedAll, "log and archive hold the same events", "ops repair names what log and archive lack; ops repair --yes restores it"},
	{NoDeadLetters, "no unexpected dead letters", "ops deadletters shows their numbers; ops deadletters show NUMBER, redrive and discard settle them"},
	{Readable, "every entity can be read from the log", "ops repair restores events that are missing; for what neither copy has, and for events that no release can read, see ops repair --help and ops void --help"},
}

// Finding is one violation of an invariant.
type Finding struct {
	Invariant string `json:"invariant"` // such as "I3"
	Subject   string `json:"subject"`   // such as "order 0198…", "SKU MUG-1", "sequence 17"
	Detail    string `json:"detail"`
}

// Checked is the result for one invariant.
type Checked struct {
	Invariant string `json:"invariant"`
	Title     string `json:"title"`
	Findings  int    `json:"findings"`
	Scope     string `json:"scope"`             // what was checked, such as "5,000 orders"
	Skipped   string `json:"skipped,omitempty"` // what was not checked, and why
	Hint      string `json:"hint,omitempty"`    // with findings: the commands that help
}

// OpenItem is something unfinished that breaks no promise, such as a refund that is not done yet or has failed.
type OpenItem struct {
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
}

// Counts is how much was checked.
type Counts struct {
	Events      uint64         `json:"events"`
	Orders      int            `json:"orders"`
	ByStatus    map[string]int `json:"by_status"`
	Progressing int            `json:"progressing"` // orders on their way
	SKUs        int            `json:"skus"`
	Mails       int            `json:"mails"`
	Unreadable  int            `json:"unreadable"` // messages that are not events, or of an unknown type
	DeadLetters int            `json:"dead_letters"`
	Seconds     float64        `json:"seconds"`
}

// Report is the result of [Check].
type Report struct {
	OK        bool           `json:"ok"`
	At        *replay.Moment `json:"at,omitempty"` // the moment that was checked; nil: when the check began
	Findings  []Finding      `json:"findings"`
	Checks    []Checked      `json:"checks"`
	OpenItems []OpenItem     `json:"open_items"`
	Counts    Counts         `json:"counts"`
}

// finish sorts and counts the findings and decides whether the shop is OK.
func (r *Report) finish(scopes, skipped map[string]string, took time.Duration) {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Invariant, b.Invariant), cmp.Compare(a.Subject, b.Subject))
	})
	slices.SortFunc(r.OpenItems, func(a, b OpenItem) int { return cmp.Compare(a.Subject, b.Subject) })
	for _, p := range promises {
		c := Checked{Invariant: p.invariant, Title: p.title, Scope: scopes[p.invariant], Skipped: skipped[p.invariant]}
		for _, f := range r.Findings {
			if f.Invariant == p.invariant {
				c.Findings++
				c.Hint = p.hint
			}
		}
		r.Checks = append(r.Checks, c)
	}
	r.OK = len(r.Findings) == 0
	r.Counts.Seconds = took.Seconds()
}
