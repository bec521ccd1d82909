package events

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
