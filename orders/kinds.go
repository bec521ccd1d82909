package orders

import (
	"tillstream/events"
	"tillstream/events/log"
)

// Orders is where they stand in the log.
var Orders = log.Kind[Order]{Stream: events.StreamOrders, Prefix: events.PrefixOrder, Evolve: Order.Evolve}
