package events

import (
	"fmt"
	"slices"
	"strings"
)

// The streams of the shop. StreamShop has all events in one order, so the events up to a sequence are a consistent state of
// the whole shop.
const (
	StreamShop        = "SHOP"
	StreamDeadLetters = "DEADLETTERS"
)

// LocationMain is the location of all stock. Subjects name the location, so a second warehouse needs no other scheme.
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
	PrefixStaff        = "ops.staff."
	PrefixKey          = "ops.keys."
	PrefixAdmins       = "ops.admins."
	PrefixDeadLetter   = "deadletters."

	// SubjectWebhooks is for the events of Stripe that belong to no payment of the shop. It is never the subject of a payment,
	// because the ids of payments are UUIDs.
	SubjectWebhooks = "payments.webhooks"
)

// owners are the prefixes under which each domain appends. Each subject belongs to one domain, so only the rules of that
// domain decide about its entity. In production the permissions of the broker enforce this.
var owners = map[string][]string{
	"orders":        {"orders.", "customers."},
	"inventory":     {"inventory."},
	"payments":      {"payments."},
	"notifications": {"notifications."},
	"ops":           {"ops."},
}

// OwnedPrefixes returns the prefixes under which a domain appends, nil for an unknown domain.
func OwnedPrefixes(domain string) []string { return owners[domain] }

// CheckEntity returns [ErrNotAnEvent] for an event whose type belongs to another domain than its subject, and for an event of an
// entity without a revision. No program of the shop appends such an event, and no fold applies one without a revision.
func CheckEntity(e Event) error {
	domain, _, _ := strings.Cut(e.Type, ".")
	owned := slices.ContainsFunc(owners[domain], func(prefix string) bool { return strings.HasPrefix(e.Subject, prefix) })
	switch {
	case !owned:
		return fmt.Errorf("%w: %.80q does not belong to the subject %.200q", ErrNotAnEvent, e.Type, e.Subject)
	case e.Revision == 0 && e.Subject != SubjectWebhooks:
		return fmt.Errorf("%w: no %s header", ErrNotAnEvent, HeaderRevision)
	}
	return nil
}

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
const Topology = 3

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
