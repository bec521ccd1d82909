package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tillstream/cmd/internal/proof/fleet"
)

// Kind is the kind of a fault.
type Kind string

// The kinds of faults. Killed processes receive SIGKILL. Connections are those between a worker and the broker or the
// database. A fault of Stripe, the webhooks or the mail server affects every second request of the shop, at random, so that retries
// succeed in the end.
const (
	WorkerKilled    Kind = "worker_killed"
	WorkerStopped   Kind = "worker_stopped"   // SIGTERM, as in a deployment; the worker must exit with status 0 in time
	WorkerSuspended Kind = "worker_suspended" // SIGSTOP for longer than its leases last; then it continues
	BrokerKilled    Kind = "broker_killed"
	DatabaseKilled  Kind = "database_killed"

	ConnectionReset   Kind = "connection_reset"
	ConnectionSlow    Kind = "connection_slow"   // every packet is delayed
	ConnectionNarrow  Kind = "connection_narrow" // little bandwidth
	ConnectionSilent  Kind = "connection_silent" // open, but no packet arrives on either side
	ConnectionReplies Kind = "replies_lost"      // requests arrive, replies do not
	StripeBroken      Kind = "stripe_500"        // 500 without having done the work
	StripeKept        Kind = "stripe_500_kept"   // 500 after the work, repeated for the same idempotency key
	StripeBusy        Kind = "stripe_429"        // 429 with Retry-After
	StripeSilent      Kind = "stripe_timeout"    // does the work and does not answer
	WebhooksLost      Kind = "webhooks_lost"     // counts as delivered, but is not sent
	WebhooksTwice     Kind = "webhooks_twice"    // sends two copies
	WebhooksLate      Kind = "webhooks_late"     // delayed, so that later ones overtake them
	MailRefused       Kind = "mail_451"          // refused for now
)

// Fault is one fault of a plan.
type Fault struct {
	Kind   Kind
	Target string        // such as "orders 2", "broker" or "payments 1 to the database"
	At     time.Duration // since the start of the run
	For    time.Duration
	Amount int64 // delay in ms or bandwidth in kB/s, for the kinds that have one
}

// String describes the fault in one line.
func (f Fault) String() string {
	text := fmt.Sprintf("%7.1fs  %-18s %s, %s", f.At.Seconds(), f.Kind, f.Target, f.For.Round(time.Millisecond))
	switch f.Kind {
	case ConnectionNarrow:
		text += fmt.Sprintf(" of %d kB/s", f.Amount)
	case ConnectionSlow, WebhooksLate:
		text += fmt.Sprintf(" of %d ms", f.Amount)
	}
	return text
}

// profile describes how faults of a kind are drawn.
type profile struct {
	kind     Kind
	weight   int // relative frequency
	targets  func() []string
	shortest time.Duration
	longest  time.Duration
	amount   func(*rand.Rand) int64 // nil: the kind has no amount
}

// profiles lists all kinds. Suspensions are longer than the five seconds that a lease lasts without renewal.
var profiles = []profile{
	{WorkerKilled, 5, workers, 0, 3 * time.Second, nil},
	{WorkerStopped, 3, workers, 0, time.Second, nil},
	{WorkerSuspended, 3, workers, 6 * time.Second, 10 * time.Second, nil},
	{BrokerKilled, 2, only("broker"), 0, 2 * time.Second, nil},
	{DatabaseKilled, 2, only("database"), 0, 5 * time.Second, nil},
	{ConnectionReset, 4, connections, 100 * time.Millisecond, time.Second, nil},
	{ConnectionSlow, 3, connections, time.Second, 6 * time.Second, between(20, 2000)},
	{ConnectionNarrow, 2, connections, time.Second, 6 * time.Second, between(8, 256)},
	{ConnectionSilent, 3, connections, time.Second, 8 * time.Second, nil},
	{ConnectionReplies, 3, connections, time.Second, 8 * time.Second, nil},
	{StripeBroken, 1, only("stripe"), time.Second, 4 * time.Second, nil},
	{StripeKept, 1, only("stripe"), time.Second, 4 * time.Second, nil},
	{StripeBusy, 1, only("stripe"), time.Second, 4 * time.Second, nil},
	{StripeSilent, 1, only("stripe"), time.Second, 4 * time.Second, nil},
	{WebhooksLost, 1, only("webhooks"), time.Second, 5 * time.Second, nil},
	{WebhooksTwice, 1, only("webhooks"), time.Second, 5 * time.Second, nil},
	{WebhooksLate, 1, only("webhooks"), time.Second, 5 * time.Second, between(500, 4000)},
	{MailRefused, 1, only("mail"), time.Second, 5 * time.Second, nil},
}

func only(target string) func() []string { return func() []string { return []string{target} } }

func between(from, to int64) func(*rand.Rand) int64 {
	return func(random *rand.Rand) int64 { return from + random.Int64N(to-from) }
}

func workers() (names []string) {
	for n := range fleet.Replicas {
		for _, worker := range fleet.Workers {
			names = append(names, fleet.ReplicaName(worker, n))
		}
	}
	return names
}

func connections() (names []string) {
	for _, worker := range workers() {
		names = append(names, Connection(worker, "broker"), Connection(worker, "database"))
	}
	return names
}

// Connection returns the name of the connection between a process and a server, as the target of a fault.
func Connection(process, server string) string { return process + " to the " + server }

// Kinds returns all kinds, sorted.
func Kinds() (kinds []Kind) {
	for _, p := range profiles {
		kinds = append(kinds, p.kind)
	}
	slices.Sort(kinds)
	return kinds
}
