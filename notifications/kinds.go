package notifications

import (
	"tillstream/events"
	"tillstream/events/log"
)

// Notifications are the entities of this domain: one per order, under the order's id.
var Notifications = log.Kind[Notification]{
	Stream: events.StreamNotifications,
	Prefix: events.PrefixNotification,
	Evolve: Evolve,
}
