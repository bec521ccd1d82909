package loadgen

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Tally counts the outcomes of purchases and records how long their steps took. It is safe for concurrent use.
type Tally struct {
	mu        sync.Mutex
	ended     int
	confirmed int
	cancelled int
	left      int
	place     []time.Duration
	confirm   []time.Duration
	kinds     map[Kind]int
	first     map[Kind]error
}

// Observe counts one purchase; see [Run].
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
	if p.Left || p.Unpayable {
		t.left++
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
	var failure *Failure
	if errors.As(err, &failure) {
		kind, err = failure.Kind, failure.Err
	}
	if t.kinds == nil {
		t.kinds, t.first = map[Kind]int{}, map[Kind]error{}
	}
	if t.kinds[kind]++; t.first[kind] == nil {
		t.first[kind] = err
	}
}

// Counts returns how many purchases have ended, were confirmed, and failed. A purchase that was cancelled or left as intended, or
// was out of stock, is neither confirmed nor failed.
func (t *Tally) Counts() (ended, confirmed, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended, t.confirmed, t.ended - t.confirmed - t.cancelled - t.left - t.kinds[OutOfStock]
}

// Percentiles of a duration, in milliseconds.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// PercentilesOf sorts the samples and returns nearest ranks: the smallest sample that is at least as large as that percentage
// of all samples. Without samples the result is zero.
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
