package loadgen

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/output"
)

// Report is the result of a run.
type Report struct {
	Orders       int          `json:"orders"` // complete purchases
	OrdersPerSec float64      `json:"orders_per_s"`
	PlaceMS      Percentiles  `json:"place_ms"`
	ConfirmMS    Percentiles  `json:"confirm_ms"`
	Cancelled    int          `json:"cancelled,omitempty"` // as their shoppers intended
	Left         int          `json:"left,omitempty"`      // not paid, as their shoppers intended
	Errors       map[Kind]int `json:"errors"`
	Retries      int64        `json:"retries"` // repeated requests
	ElapsedS     float64      `json:"elapsed_s"`
	Seed         uint64       `json:"seed,omitempty"`
	Verify       *Verdict     `json:"verify,omitempty"` // absent if the invariants were not checked

	// Injected counts the faults injected during the run, by kind.
	Injected map[string]int `json:"faults,omitempty"`
	// Crashes counts the processes that exited unexpectedly during the run, by name.
	Crashes map[string]int `json:"falls,omitempty"`
	// CPU is the processor time of one order in milliseconds, by part of the shop.
	CPU map[string]float64 `json:"cpu_ms_per_order,omitempty"`

	// UnderAttack is what attackers did during the run; absent without --attack.
	UnderAttack *UnderAttack `json:"attack,omitempty"`
	// Redelivery is what a replay has done during the run; absent without --redeliver.
	Redelivery *Redelivery `json:"redelivery,omitempty"`
	// Payments is what Stripe has taken; absent without faults of payments.
	Payments *Payments `json:"payments,omitempty"`

	first map[Kind]error
}

// Verdict is the result of the invariant checker.
type Verdict struct {
	OK       bool      `json:"ok"`
	Findings []Finding `json:"findings"`
	Skipped  []string  `json:"-"` // invariants that were not checked, and why
}

// Finding is one violation of an invariant.
type Finding struct {
	Invariant string `json:"invariant"`
	Subject   string `json:"subject"`
	Detail    string `json:"detail"`
}

// Report sums up a run.
func (t *Tally) Report(elapsed time.Duration, retries int64) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Report{Orders: t.confirmed, Cancelled: t.cancelled, Left: t.left, PlaceMS: PercentilesOf(t.place), ConfirmMS: PercentilesOf(t.confirm),
		Errors: maps.Clone(t.kinds), Retries: retries, ElapsedS: elapsed.Seconds(), first: maps.Clone(t.first)}
	if r.Errors == nil {
		r.Errors = map[Kind]int{}
	}
	if elapsed > 0 {
		r.OrdersPerSec = float64(t.confirmed) / elapsed.Seconds()
	}
	return r
}

// Failures returns the number of failed purchases. An order that is rejected because its items are out of stock is no
// failure of the shop.
func (r Report) Failures() int {
	n := 0
	for kind, count := range r.Errors {
		if kind != OutOfStock {
			n += count
		}
	}
	return n
}

// WriteText writes the report for people, in lines of at most 80 columns where error messages allow it.
func (r Report) WriteText(w io.Writer) error {
	p := printer{w: w}
	p.line("%s in %.1f s: %.1f orders/s", output.Count(r.Orders, "complete purchase"), r.ElapsedS, r.OrdersPerSec)
	p.line("%-22s p50 %9.1f ms   p95 %9.1f ms   p99 %9.1f ms", "placing", r.PlaceMS.P50, r.PlaceMS.P95, r.PlaceMS.P99)
	p.line("%-22s p50 %9.1f ms   p95 %9.1f ms   p99 %9.1f ms", "placed to confirmed", r.ConfirmMS.P50, r.ConfirmMS.P95, r.ConfirmMS.P99)
	if r.Cancelled > 0 {
		p.line("%s cancelled by the shopper", output.Count(r.Cancelled, "order"))
	}
	if r.Left > 0 {
		p.line("%s left unpaid by the shopper", output.Count(r.Left, "order"))
	}
	if r.Retries > 0 {
		p.line("%s repeated", output.Count(int(r.Retries), "request"))
	}
	if len(r.Errors) == 0 {
		p.line("no errors")
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		p.line("%7d %s, first error:", r.Errors[kind], kind)
		p.line("        %v", r.first[kind])
	}
	r.writeInjected(&p)
	r.UnderAttack.write(&p, r)
	r.Redelivery.write(&p, r)
	r.Payments.write(&p)
	r.writeCPU(&p)
	r.Verify.write(&p)
	return p.err
}

func (r Report) writeInjected(p *printer) {
	if r.Injected == nil {
		return
	}
	total := 0
	for _, n := range r.Injected {
		total += n
	}
	p.line("%s injected, seed %d", output.Count(total, "fault"), r.Seed)
	for _, kind := range slices.Sorted(maps.Keys(r.Injected)) {
		p.line("%7d %s", r.Injected[kind], kind)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Crashes)) {
		p.line("%s exited unexpectedly and was restarted %s", name, output.Count(r.Crashes[name], "time"))
	}
}

// writeCPU writes the processor time of an order, largest part first.
func (r Report) writeCPU(p *printer) {
	if r.CPU == nil {
		return
	}
	p.line("processor time of one order:")
	parts := slices.SortedFunc(maps.Keys(r.CPU), func(a, b string) int { return cmp.Compare(r.CPU[b], r.CPU[a]) })
	for _, part := range parts {
		p.line("%9.3f ms %s", r.CPU[part], part)
	}
}

func (v *Verdict) write(p *printer) {
	if v == nil {
		p.line("not verified")
		return
	}
	for _, skipped := range v.Skipped {
		p.line("not checked: %s", skipped)
	}
	if v.OK {
		p.line("verified: every checked invariant holds")
		return
	}
	p.line("VERIFY FAILED: %s", output.Count(len(v.Findings), "finding"))
	for i, f := range v.Findings {
		if i == maxDetails {
			p.line("  and %d more", len(v.Findings)-i)
			break
		}
		p.line("  %s %s: %s", f.Invariant, f.Subject, f.Detail)
	}
}

// maxDetails bounds the lines of one kind in a report.
const maxDetails = 20

// printer writes lines and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

// columns is the width of a terminal. Longer lines are wrapped between words and indented.
const columns = 80

func (p *printer) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for p.err == nil {
		cut := len(text)
		if cut > columns {
			if at := strings.LastIndexByte(text[:columns+1], ' '); strings.TrimSpace(text[:max(at, 0)]) != "" {
				cut = at
			}
		}
		if _, p.err = fmt.Fprintln(p.w, text[:cut]); cut == len(text) {
			return
		}
		text = "        " + text[cut+1:]
	}
}

// padded is [output.Count] with the number in a column of its own.
func padded(n int, noun string) string {
	text := output.Count(n, noun)
	return fmt.Sprintf("%*s", 8+len(text)-len(output.Number(n)), text)
}
