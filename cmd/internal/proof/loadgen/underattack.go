package loadgen

import "tillstream/cmd/internal/proof/attack"

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
	u.Broken = append(u.Broken, tooSlow(before, during, u.limit)...)
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
	ended := r.Orders + r.Cancelled + r.Left + failed
	if ended == 0 {
		return 0
	}
	return float64(ended-failed) / float64(ended)
}

func (u *UnderAttack) write(p *printer, during Report) {
	if u == nil {
		return
	}
	p.writeSlowdown(u.Before, during, "under attack", u.limit)
	if p.err == nil {
		p.err = u.Attacks.WriteText(p.w)
	}
	for _, broken := range u.Broken {
		p.line("BROKEN %s", broken)
	}
}
