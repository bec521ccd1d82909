package cpu

import (
	"strings"

	"github.com/google/pprof/profile"
)

// Part is the part of a shop to which a sample is attributed.
type Part string

// The parts of a shop in one process, and the load generator outside it.
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

// owners maps prefixes of function names to parts. The longest matching prefix counts.
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
	"net/http.(*persistConn)":                Act, // a shop calls only Stripe and webhooks over HTTP
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

// collector lists the prefixes of the collector's own goroutines, and of the work that it makes allocating goroutines do.
var collector = []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcAssistAlloc", "runtime.gcStart", "runtime.gcMarkDone",
	"runtime.deductSweepCredit"}

// scheduler lists the prefixes of the functions that look for a goroutine to run.
var scheduler = []string{"runtime.mcall", "runtime.mstart", "runtime.sysmon", "runtime.schedule", "runtime.findRunnable"}

// partOf returns the part of one sample.
func partOf(sample *profile.Sample) Part {
	owner, found := Rest, false
	unowned := Rest
	for _, location := range sample.Location { // deepest first
		for _, line := range location.Line { // inlined calls first
			if line.Function == nil {
				continue
			}
			name := line.Function.Name
			switch {
			case hasAnyPrefix(name, collector):
				return Collector
			case hasAnyPrefix(name, scheduler):
				unowned = Scheduler
			case !found:
				owner, found = ownerOf(name)
			}
		}
	}
	if found {
		return owner
	}
	return unowned
}

func hasAnyPrefix(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func ownerOf(function string) (owner Part, found bool) {
	owner, longest := Rest, 0
	for prefix, part := range owners {
		if len(prefix) > longest && strings.HasPrefix(function, prefix) {
			owner, longest = part, len(prefix)
		}
	}
	return owner, longest > 0
}

// timeByPart sums the processor time of a profile by part, in nanoseconds.
func timeByPart(p *profile.Profile) map[Part]int64 {
	sums := map[Part]int64{}
	last := len(p.SampleType) - 1 // the last value of a CPU profile is the time; the one before it counts samples
	for _, sample := range p.Sample {
		if last >= 0 && last < len(sample.Value) {
			sums[partOf(sample)] += sample.Value[last]
		}
	}
	return sums
}
