package events

import "fmt"

// The streams of the shop. StreamShop holds every fact in one order, so a sequence number is a consistent cut of the shop.
const (
	StreamShop        = "SHOP"
	StreamDeadLetters = "DEADLETTERS"
)

// LocationMain is where all goods are. Stock is kept by location and SKU, so that a second warehouse needs no other subjects.
const LocationMain = "main"

// The subject prefix of each entity. A subject is prefix + token: see [Subject].
const (
	PrefixOrder        = "orders."
	PrefixItem         = "inventory.items."
	PrefixStock        = "inventory.stock." + LocationMain + "."
	PrefixReservation  = "inventory.reservations."
	PrefixPayment      = "payments."
	PrefixNotification = "notifications."
	PrefixLane         = "ops.lanes."
	PrefixVoid         = "ops.voids."
	PrefixReplay       = "ops.replays."
	PrefixDeadLetter   = "deadletters."

	// SubjectWebhooks holds the events of Stripe that belong to no payment of the shop. A payment's id is never "webhooks",
	// because those are UUIDs.
	SubjectWebhooks = "payments.webhooks"
)

// owners says under which prefixes each domain appends. No other domain may append there: one writer per subject is what
// makes the expectations of an append meaningful, and what the permissions of the broker enforce in production.
var owners = map[string][]string{
	"orders":        {"orders.", "customers."},
	"inventory":     {"inventory."},
	"payments":      {"payments."},
	"notifications": {"notifications."},
	"ops":           {"ops."},
}

// OwnedPrefixes returns the prefixes under which a domain appends, nil for an unknown domain.
func OwnedPrefixes(domain string) []string { return owners[domain] }

// ShopSubjects are the subjects of StreamShop.
func ShopSubjects() []string {
	return []string{"orders.*", "customers.*", "inventory.items.*", "inventory.stock.*.*", "inventory.reservations.*",
		"payments.*", "notifications.*", "ops.>"}
}

// Topology is the version of the streams, subjects and event types that this program knows. A release that adds one of them
// increments it, and names it in the [Definition] of each new type or version:
//
//	define[OrderNoted](1, nil).since(2),
//
// No program writes the new type while processes of the release before are running. An optional field needs no new topology.
const Topology = 1

// since sets the first topology that knows a type in its newest version.
func (d Definition) since(topology int) Definition {
	d.Since = topology
	return d
}

// Since returns the first topology that knows a type in the version that this program writes, 0 for an unknown type.
func Since(eventType string) int { return definitions[eventType].Since }

// CheckTopology returns [ErrNewer] for an event that a program with a topology cannot read.
func CheckTopology(e Event, topology int) error {
	if e.Topology > topology {
		return fmt.Errorf("%w: %.80q needs topology %d, this program knows %d", ErrNewer, e.Type, e.Topology, topology)
	}
	return nil
}
