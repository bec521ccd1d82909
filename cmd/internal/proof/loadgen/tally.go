package loadgen

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Tally counts how purchases ended and how long their steps took. It may be read while it counts.
type Tally struct {
	mu        sync.Mutex
	ended     int
	confirmed int
	cancelled int
	place     []time.Duration
	confirm   []time.Duration
	kinds     map[Kind]int
	first     map[Kind]error
}

// Observe is an observer of a [Run].
func (t *Tally) Observe(p Purchase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended++
	if p.PlacedIn > 0 {
		t.place = append(t.place, p.PlacedIn)
	}
	if p.Cancelled {
		t.cancelled++
		return
	}
	if p.Err == nil {
		t.confirmed++
		t.confirm = append(t.confirm, p.ConfirmedIn)
		return
	}
	t.fail(p.Err)
}

func (t *Tally) fail(err error) {
	kind := ConnectionLost
	var known *Failure
	if errors.As(err, &known) {
		kind, err = known.Kind, known.Err
	}
	if t.kinds == nil {
		t.kinds, t.first = map[Kind]int{}, map[Kind]error{}
	}
	if t.kinds[kind]++; t.first[kind] == nil {
		t.first[kind] = err
	}
}

// Counts says how many purchases have ended, how many of them confirmed, and how many failed: neither confirmed, nor
// cancelled as their shopper wanted, nor sold out.
func (t *Tally) Counts() (ended, confirmed, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended, t.confirmed, t.ended - t.confirmed - t.cancelled - t.kinds[OutOfStock]
}

// Percentiles of a duration, in milliseconds.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// PercentilesOf sorts the samples and takes nearest ranks: the smallest sample that at least so many per cent of all do
// not exceed. No samples give zeros.
func PercentilesOf(samples []time.Duration) Percentiles {
	slices.Sort(samples)
	at := func(percent int) float64 {
		if len(samples) == 0 {
			return 0
		}
		rank := (len(samples)*percent + 99) / 100 // rounded up, from 1
		return float64(samples[rank-1].Microseconds()) / 1000
	}
	return Percentiles{P50: at(50), P95: at(95), P99: at(99)}
}
