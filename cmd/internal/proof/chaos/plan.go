package chaos

import (
	"math/rand/v2"
	"time"
)

// Bounds of the pause between the starts of two faults. The mean is about the duration of a fault, so that every second fault
// begins during another.
const (
	shortestPause = 200 * time.Millisecond
	longestPause  = 3500 * time.Millisecond
)

// stopTimeout is how long a worker may take to stop.
const stopTimeout = 30 * time.Second

// Plan draws the faults of a run with a seed. All end within the length of the run, and a target has one fault at a time. A
// shop that uses an existing database gets no faults of the database.
func Plan(seed uint64, length time.Duration, hasDatabase bool) []Fault {
	random := rand.New(rand.NewPCG(seed, 0))
	busyUntil := map[string]time.Duration{} // by target
	var plan []Fault
	for at := pause(random); at < length; at += pause(random) {
		fault := draw(random, at)
		if fault.At+fault.For > length || busyUntil[fault.Target] > fault.At || !hasDatabase && fault.isOfDatabase() {
			continue
		}
		busyUntil[fault.Target] = fault.At + fault.For
		if fault.Kind == WorkerStopped {
			busyUntil[fault.Target] += stopTimeout
		}
		plan = append(plan, fault)
	}
	return plan
}

func pause(random *rand.Rand) time.Duration {
	return shortestPause + within(random, longestPause-shortestPause)
}

func within(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(d)))
}

// draw draws a fault. It draws the same random numbers whether or not the fault is used, so that plans with the same seed begin
// with the same faults.
func draw(random *rand.Rand, at time.Duration) Fault {
	total := 0
	for _, p := range profiles {
		total += p.weight
	}
	n := random.IntN(total)
	for _, p := range profiles {
		if n -= p.weight; n >= 0 {
			continue
		}
		targets := p.targets()
		fault := Fault{Kind: p.kind, At: at, Target: targets[random.IntN(len(targets))], For: p.shortest + within(random, p.longest-p.shortest)}
		if p.amount != nil {
			fault.Amount = p.amount(random)
		}
		return fault
	}
	panic("chaos: drawn weight exceeds the sum of weights")
}

func (f Fault) isOfDatabase() bool {
	if f.Target == "database" {
		return true
	}
	for _, worker := range workers() {
		if f.Target == Connection(worker, "database") {
			return true
		}
	}
	return false
}
