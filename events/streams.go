package events

// The streams of the log, one per domain, and the subject prefix of each entity. A subject is prefix + id.
const (
	StreamOrders        = "ORDERS"
	StreamInventory     = "INVENTORY"
	StreamPayments      = "PAYMENTS"
	StreamNotifications = "NOTIFICATIONS"
	StreamTimers        = "TIMERS"
	StreamParked        = "PARKED"

	PrefixOrder        = "orders."
	PrefixItem         = "inventory.items."
	PrefixStock        = "inventory.stock."
	PrefixReservation  = "inventory.reservations."
	PrefixPayment      = "payments."
	PrefixNotification = "notifications."
	PrefixTimer        = "timers.set."
	PrefixTimerFired   = "timers.fired."
	PrefixParked       = "parked."

	// SubjectWebhooks holds Stripe's events as received. It lies beside the payments, not among them: an order id
	// is never "webhooks", because order ids are UUIDs.
	SubjectWebhooks = "payments.webhooks"
)
