package loadgen

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Report is the result of a run.
type Report struct {
	Orders       int          `json:"orders"` // complete purchases
	OrdersPerSec float64      `json:"orders_per_s"`
	PlaceMS      Percentiles  `json:"place_ms"`
	ConfirmMS    Percentiles  `json:"confirm_ms"`
	Cancelled    int          `json:"cancelled,omitempty"` // as their shoppers wanted
	Errors       map[Kind]int `json:"errors"`
	Retries      int64        `json:"retries"` // requests that had to be repeated
	ElapsedS     float64      `json:"elapsed_s"`
	Seed         uint64       `json:"seed,omitempty"`
	Verify       *Verdict     `json:"verify,omitempty"` // absent when it was not asked for

	// Inflicted counts what was done to the shop meanwhile, by kind.
	Inflicted map[string]int `json:"faults,omitempty"`
	// Falls counts the processes that ended by themselves meanwhile, by name.
	Falls map[string]int `json:"falls,omitempty"`
	// CPU says what one order cost, in milliseconds of processor time, by part of the shop.
	CPU map[string]float64 `json:"cpu_ms_per_order,omitempty"`

	first map[Kind]error
}

// Verdict is what the invariant checker says of the shop afterwards.
type Verdict struct {
	OK       bool      `json:"ok"`
	Findings []Finding `json:"findings"`
	Skipped  []string  `json:"-"` // what was not looked at, and why
}

// Finding is one broken promise.
type Finding struct {
	Invariant string `json:"invariant"`
	Subject   string `json:"subject"`
	Detail    string `json:"detail"`
}

// Report sums up what was counted.
func (t *Tally) Report(elapsed time.Duration, retries int64) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Report{Orders: t.confirmed, Cancelled: t.cancelled, PlaceMS: PercentilesOf(t.place), ConfirmMS: PercentilesOf(t.confirm),
		Errors: maps.Clone(t.kinds), Retries: retries, ElapsedS: elapsed.Seconds(), first: maps.Clone(t.first)}
	if r.Errors == nil {
		r.Errors = map[Kind]int{}
	}
	if elapsed > 0 {
		r.OrdersPerSec = float64(t.confirmed) / elapsed.Seconds()
	}
	return r
}

// Faults counts the errors that the shop has to answer for: all but sold-out orders.
func (r Report) Faults() int {
	n := 0
	for kind, count := range r.Errors {
		if kind != OutOfStock {
			n += count
		}
	}
	return n
}

// WriteText writes the report for people.
func (r Report) WriteText(w io.Writer) error {
	p := printer{w: w}
	p.line("%d complete purchases in %.1f s: %.1f orders/s", r.Orders, r.ElapsedS, r.OrdersPerSec)
	p.line("%-22s p50 %9.1f ms   p95 %9.1f ms   p99 %9.1f ms", "placing", r.PlaceMS.P50, r.PlaceMS.P95, r.PlaceMS.P99)
	p.line("%-22s p50 %9.1f ms   p95 %9.1f ms   p99 %9.1f ms", "placed to confirmed", r.ConfirmMS.P50, r.ConfirmMS.P95, r.ConfirmMS.P99)
	if r.Cancelled > 0 {
		p.line("%d orders were cancelled by their shoppers", r.Cancelled)
	}
	if r.Retries > 0 {
		p.line("%d requests had to be repeated", r.Retries)
	}
	if len(r.Errors) == 0 {
		p.line("no errors")
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		p.line("%7d %s, the first: %v", r.Errors[kind], kind, r.first[kind])
	}
	r.writeInflicted(&p)
	r.writeCPU(&p)
	r.Verify.write(&p)
	return p.err
}

func (r Report) writeInflicted(p *printer) {
	if r.Inflicted == nil {
		return
	}
	total := 0
	for _, n := range r.Inflicted {
		total += n
	}
	p.line("%d faults, seed %d", total, r.Seed)
	for _, kind := range slices.Sorted(maps.Keys(r.Inflicted)) {
		p.line("%7d %s", r.Inflicted[kind], kind)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Falls)) {
		p.line("%s ended by itself and was started again %d times", name, r.Falls[name])
	}
}

// writeCPU writes what an order costs, the dearest part first.
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
		p.line("verified: every invariant that was checked holds")
		return
	}
	p.line("VERIFY FAILED: %d findings", len(v.Findings))
	for i, f := range v.Findings {
		if i == mostDetails {
			p.line("  and %d more", len(v.Findings)-i)
			break
		}
		p.line("  %s %s: %s", f.Invariant, f.Subject, f.Detail)
	}
}

// mostDetails of one sort are printed; more of them say nothing new.
const mostDetails = 20

// printer remembers the first error of many lines.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
