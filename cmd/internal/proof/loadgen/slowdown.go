package loadgen

import (
	"fmt"

	"tillstream/cmd/internal/output"
)

// pace is a p99 of the purchases before and during a disturbance, in milliseconds.
type pace struct {
	name           string // in a table
	what           string // in a sentence
	before, during float64
}

func paces(before, during Report) []pace {
	return []pace{{"placing, p99", "placing", before.PlaceMS.P99, during.PlaceMS.P99},
		{"to confirmed, p99", "placed to confirmed", before.ConfirmMS.P99, during.ConfirmMS.P99}}
}

// tooSlow returns the promises that the purchases during a disturbance have broken. limit is the largest p99 for one before it.
func tooSlow(before, during Report, limit func(before float64) float64) (broken []string) {
	for _, p := range paces(before, during) {
		if most := limit(p.before); p.during > most {
			broken = append(broken, fmt.Sprintf("%s: p99 was %.1f ms, want at most %.1f ms", p.what, p.during, most))
		}
	}
	if rate := during.success(); rate < leastSuccess {
		broken = append(broken, fmt.Sprintf("%.2f %% of the shoppers could buy, want %.1f %%", 100*rate, 100*leastSuccess))
	}
	return broken
}

// writeSlowdown writes a table that compares the purchases before and during a disturbance.
func (p *printer) writeSlowdown(before, during Report, disturbance string, limit func(before float64) float64) {
	p.line("%-18s %14s %14s %14s %7s", "shoppers", "before", disturbance, "limit", "ratio")
	p.line("%-18s %12.2f %% %12.2f %% %12.2f %%", "could buy", 100*before.success(), 100*during.success(), 100*leastSuccess)
	for _, row := range paces(before, during) {
		ratio := 0.0
		if row.before > 0 {
			ratio = row.during / row.before
		}
		p.line("%-18s %11.1f ms %11.1f ms %11.1f ms %7.2f", row.name, row.before, row.during, limit(row.before), ratio)
	}
}

// Redelivery is what a replay of all events has done while shoppers bought.
type Redelivery struct {
	Before   Report   `json:"before"`
	Events   int      `json:"events"`    // redelivered ones
	Times    int      `json:"times"`     // how often
	Handled  int      `json:"handled"`   // an event counts once for each lane that handled it
	Done     int      `json:"done"`      // calls and mails that had been made
	ElapsedS float64  `json:"elapsed_s"` // of the replay
	Live     int      `json:"live"`      // events of the orders that were placed meanwhile
	Requests int      `json:"requests"`  // events of the replay itself
	Parts    int      `json:"parts"`     // entities and documents that are the same
	State    string   `json:"state"`     // hash of the entities
	Broken   []string `json:"broken"`    // promises that the shop broke

	slowdown float64
}

// Judge compares the purchases during the replay with those before it: nearly all must succeed, and the slowest may take slowdown
// times as long.
func (r *Redelivery) Judge(during Report, slowdown float64) {
	r.slowdown = slowdown
	r.Broken = append(r.Broken, tooSlow(r.Before, during, r.limit)...)
}

// limit returns the largest p99 during the replay, in milliseconds, for one before it.
func (r *Redelivery) limit(before float64) float64 { return r.slowdown * before }

func (r *Redelivery) write(p *printer, during Report) {
	if r == nil {
		return
	}
	p.line("%s replayed %s in %.1f s: handled %.0f times a second", output.Count(r.Events, "event"), output.Count(r.Times, "time"), r.ElapsedS,
		float64(r.Handled)/max(r.ElapsedS, 0.001))
	p.line("calls and mails were found to be made %s", output.Count(r.Done, "time"))
	p.line("appended meanwhile: %d events of live orders, %d of the replay itself", r.Live, r.Requests)
	p.line("%d entities and documents are the same, states %.12s", r.Parts, r.State)
	p.writeSlowdown(r.Before, during, "during replay", r.limit)
	for _, broken := range r.Broken {
		p.line("BROKEN %s", broken)
	}
}
