package chaos

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Fault is one thing that is done to the shop.
type Fault struct {
	Kind   Kind
	Victim string        // such as "orders 2", "broker" or "payments 1 to the database"
	At     time.Duration // since the beginning
	For    time.Duration
	Amount int64 // milliseconds or kilobytes a second, if the kind has any
}

// String says it in a line.
func (f Fault) String() string {
	text := fmt.Sprintf("%7.1fs  %-18s %s, %s", f.At.Seconds(), f.Kind, f.Victim, f.For.Round(time.Millisecond))
	switch f.Kind {
	case ConnectionNarrow:
		text += fmt.Sprintf(" of %d kB/s", f.Amount)
	case ConnectionSlow, WebhooksLate:
		text += fmt.Sprintf(" of %d ms", f.Amount)
	}
	return text
}

// Bounds of the pause between two faults. The mean is about what a fault lasts, so that one in two falls into another.
const (
	shortestPause = 200 * time.Millisecond
	longestPause  = 3500 * time.Millisecond
)

// stopping is how long a worker may take to end when it is asked to.
const stopping = 30 * time.Second

// Plan makes up what is done in so long a time. All of it is over by then. Nobody is hurt twice at the same time; a shop
// without a database of its own leaves out the faults of that.
func Plan(seed uint64, length time.Duration, hasDatabase bool) []Fault {
	random := rand.New(rand.NewPCG(seed, 0))
	busy := map[string]time.Duration{} // until when, by victim
	var plan []Fault
	for at := pause(random); at < length; at += pause(random) {
		fault := anyFault(random, at)
		if fault.At+fault.For > length || busy[fault.Victim] > fault.At || !hasDatabase && fault.isAboutDatabase() {
			continue
		}
		busy[fault.Victim] = fault.At + fault.For
		if fault.Kind == WorkerStopped {
			busy[fault.Victim] += stopping
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

// anyFault draws the same numbers whatever comes of them, so that plans of one seed begin alike.
func anyFault(random *rand.Rand, at time.Duration) Fault {
	total := 0
	for _, s := range sorts {
		total += s.weight
	}
	n := random.IntN(total)
	for _, s := range sorts {
		if n -= s.weight; n >= 0 {
			continue
		}
		victims := s.victims()
		fault := Fault{Kind: s.kind, At: at, Victim: victims[random.IntN(len(victims))], For: s.shortest + within(random, s.longest-s.shortest)}
		if s.amount != nil {
			fault.Amount = s.amount(random)
		}
		return fault
	}
	panic("chaos: a weight was drawn that no kind has")
}

func (f Fault) isAboutDatabase() bool {
	if f.Victim == "database" {
		return true
	}
	for _, worker := range workers() {
		if f.Victim == Connection(worker, "database") {
			return true
		}
	}
	return false
}
