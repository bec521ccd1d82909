package chaos

import (
	"math/rand/v2"
	"slices"
	"time"

	"tillstream/cmd/internal/proof/fleet"
)

// Kind is what is done.
type Kind string

// The kinds of faults. Processes end by kill -9; connections are those between a worker and the broker or the database.
const (
	WorkerKilled    Kind = "worker_killed"
	WorkerStopped   Kind = "worker_stopped"   // asked to end, as when it is deployed anew: it must, in good order and in time
	WorkerSuspended Kind = "worker_suspended" // for longer than its successor waits; then it goes on with what it had in hand
	BrokerKilled    Kind = "broker_killed"
	DatabaseKilled  Kind = "database_killed"

	ConnectionReset   Kind = "connection_reset"
	ConnectionSlow    Kind = "connection_slow"   // every packet is late
	ConnectionNarrow  Kind = "connection_narrow" // few bytes a second
	ConnectionSilent  Kind = "connection_silent" // open, but nothing arrives on either side
	ConnectionReplies Kind = "replies_lost"      // what is asked for is done, and nobody hears so
	StripeBroken      Kind = "stripe_500"        // answers without having done anything
	StripeKept        Kind = "stripe_500_kept"   // answers after having done it, and again to whoever repeats the key
	StripeBusy        Kind = "stripe_429"        // asks to come again
	StripeSilent      Kind = "stripe_timeout"    // does it and does not answer
	WebhooksLost      Kind = "webhooks_lost"     // takes them for delivered
	WebhooksTwice     Kind = "webhooks_twice"    // delivers each two times at once
	WebhooksLate      Kind = "webhooks_late"     // and out of order
	MailRefused       Kind = "mail_451"          // asks to try again later
)

// sort is what is known of a kind: how often it happens, to whom, and how long it lasts.
type sort struct {
	kind     Kind
	weight   int
	victims  func() []string
	shortest time.Duration
	longest  time.Duration
	amount   func(*rand.Rand) int64 // milliseconds or kilobytes a second; nil: there is none
}

// sorts has processes suspended for longer than the five seconds that a lease lasts without renewal.
var sorts = []sort{
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

func only(victim string) func() []string { return func() []string { return []string{victim} } }

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

// Connection is what the connection of a process to a server is called: a victim.
func Connection(process, server string) string { return process + " to the " + server }

// Kinds are all of them, in the order of their names.
func Kinds() (kinds []Kind) {
	for _, s := range sorts {
		kinds = append(kinds, s.kind)
	}
	slices.Sort(kinds)
	return kinds
}
