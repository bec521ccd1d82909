package loadgen

import (
	"fmt"

	"tillstream/cmd/internal/proof/attack"
)

// UnderAttack compares the purchases during an attack with those before it.
type UnderAttack struct {
	Before  Report        `json:"before"`
	Attacks attack.Report `json:"attacks"`
	Broken  []string      `json:"broken"` // promises that the shop broke

	slowdown float64
}

// leastSuccess is the part of the purchases that must succeed during an attack.
const leastSuccess = 0.999

// noise is a p99 in milliseconds that is no slowdown: the attackers and the shop may share a machine.
const noise = 250

// NewUnderAttack judges the purchases during an attack: nearly all must succeed, and the slowest may take slowdown times as long as
// before.
func NewUnderAttack(before, during Report, attacks attack.Report, slowdown float64) *UnderAttack {
	u := &UnderAttack{Before: before, Attacks: attacks, Broken: attacks.Broken(), slowdown: slowdown}
	if rate := during.success(); rate < leastSuccess {
		u.Broken = append(u.Broken, fmt.Sprintf("%.2f %% of the shoppers could buy, want %.1f %%", 100*rate, 100*leastSuccess))
	}
	for what, p99 := range map[string][2]float64{"placing": {before.PlaceMS.P99, during.PlaceMS.P99}, "placed to confirmed": {before.ConfirmMS.P99, during.ConfirmMS.P99}} {
		if limit := u.limit(p99[0]); p99[1] > limit {
			u.Broken = append(u.Broken, fmt.Sprintf("%s: p99 was %.1f ms, want at most %.1f ms", what, p99[1], limit))
		}
	}
	return u
}

// limit returns the largest p99 during an attack, in milliseconds, for one before it.
func (u *UnderAttack) limit(before float64) float64 { return max(u.slowdown*before, noise) }

// success is the part of the purchases that were completed or cancelled as intended. A shopper who finds nothing left, because
// attackers hold it, could not buy.
func (r Report) success() float64 {
	failed := 0
	for _, n := range r.Errors {
		failed += n
	}
	ended := r.Orders + r.Cancelled + failed
	if ended == 0 {
		return 0
	}
	return float64(ended-failed) / float64(ended)
}

func (u *UnderAttack) write(p *printer, during Report) {
	if u == nil {
		return
	}
	p.line("%-18s %14s %14s %14s", "shoppers", "before", "under attack", "limit")
	p.line("%-18s %12.2f %% %12.2f %% %12.2f %%", "could buy", 100*u.Before.success(), 100*during.success(), 100*leastSuccess)
	for _, p99 := range []struct {
		name           string
		before, during float64
	}{{"placing, p99", u.Before.PlaceMS.P99, during.PlaceMS.P99}, {"to confirmed, p99", u.Before.ConfirmMS.P99, during.ConfirmMS.P99}} {
		p.line("%-18s %11.1f ms %11.1f ms %11.1f ms", p99.name, p99.before, p99.during, u.limit(p99.before))
	}
	if p.err == nil {
		p.err = u.Attacks.WriteText(p.w)
	}
	for _, broken := range u.Broken {
		p.line("BROKEN %s", broken)
	}
}
