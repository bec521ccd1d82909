package cpu

import (
	"strings"

	"github.com/google/pprof/profile"
)

// Part is what a sample is booked on.
type Part string

// The parts of a shop that runs in one process.
const (
	Log         Part = "log and broker"
	Decide      Part = "workers: decide"
	Act         Part = "workers: act"
	Projections Part = "projections and database"
	HTTP        Part = "HTTP and storefront"
	Stripe      Part = "Stripe sandbox"
	Mail        Part = "mail and inbox"
	Collector   Part = "garbage collector"
	Scheduler   Part = "scheduler"
	Rest        Part = "rest"
	Generator   Part = "load generator"
)

// owners say whose a function is, by how its name begins. The longest beginning that fits counts.
var owners = map[string]Part{
	"github.com/FerretDB/":                   Projections,
	"github.com/danielgtaylor/huma/":         HTTP,
	"github.com/emersion/":                   Mail,
	"github.com/nats-io/":                    Log,
	"github.com/stripe/":                     Act,
	"github.com/synadia-io/":                 Log,
	"github.com/wneessen/":                   Mail,
	"go.mongodb.org/":                        Projections,
	"modernc.org/":                           Projections,
	"net/http.(*conn)":                       HTTP,
	"net/http.(*persistConn)":                Act, // in a shop only Stripe and webhooks are called over HTTP
	"tillstream/events/api":                  HTTP,
	"tillstream/cmd/internal/storefront":     HTTP,
	"tillstream/events/archive":              Projections,
	"tillstream/events/embedded":             Projections,
	"tillstream/events/log":                  Log,
	"tillstream/events/project":              Projections,
	"tillstream/events/worker.(*actLane)":    Act,
	"tillstream/events/worker.(*decider)":    Decide,
	"tillstream/events/worker.(*batchLane)":  Projections,
	"tillstream/events/worker.(*decideLane)": Decide,
	"tillstream/events/worker.(*reader)":     Log,
	"tillstream/events/worker.(*round)":      Decide,
	"tillstream/events/worker.(*timerLane)":  Decide,
	"tillstream/events/worker.(*watcher)":    HTTP,
	"tillstream/notifications.(*Mailer)":     Mail,
	"tillstream/notifications.(*pool)":       Mail,
	"tillstream/notifications.(*renderer)":   Mail,
	"tillstream/notifications.compose":       Mail,
	"tillstream/notifications/inbox":         Mail,
	"tillstream/payments/sandbox":            Stripe,
}

// collector are the roots of the collector's own goroutines, and what it has others do while they allocate.
var collector = []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcAssistAlloc", "runtime.gcStart", "runtime.gcMarkDone",
	"runtime.deductSweepCredit"}

// scheduler are the roots of what finds a goroutine to run.
var scheduler = []string{"runtime.mcall", "runtime.mstart", "runtime.sysmon", "runtime.schedule", "runtime.findRunnable"}

// partOf books one stack.
func partOf(sample *profile.Sample) Part {
	owner, found := Rest, false
	own := Rest
	for _, location := range sample.Location { // the deepest first
		for _, line := range location.Line { // inlined ones first
			if line.Function == nil {
				continue
			}
			name := line.Function.Name
			switch {
			case startsWith(name, collector):
				return Collector
			case startsWith(name, scheduler):
				own = Scheduler
			case !found:
				owner, found = ownerOf(name)
			}
		}
	}
	if found {
		return owner
	}
	return own
}

func startsWith(name string, beginnings []string) bool {
	for _, beginning := range beginnings {
		if strings.HasPrefix(name, beginning) {
			return true
		}
	}
	return false
}

func ownerOf(function string) (owner Part, found bool) {
	owner, longest := Rest, 0
	for beginning, part := range owners {
		if len(beginning) > longest && strings.HasPrefix(function, beginning) {
			owner, longest = part, len(beginning)
		}
	}
	return owner, longest > 0
}

// booked sums the processor time of a profile by part, in nanoseconds.
func booked(p *profile.Profile) map[Part]int64 {
	sums := map[Part]int64{}
	last := len(p.SampleType) - 1 // of a processor's profile the last value is the time, the one before counts samples
	for _, sample := range p.Sample {
		if last >= 0 && last < len(sample.Value) {
			sums[partOf(sample)] += sample.Value[last]
		}
	}
	return sums
}
