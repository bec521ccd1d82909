package inventory

import (
	"tillstream/events"
	"tillstream/events/log"
)

// The entities of this domain in the log.
var (
	// Items is every item, by SKU.
	Items = log.Kind[Item]{Stream: events.StreamInventory, Prefix: events.PrefixItem, Evolve: EvolveItem, LastOnly: true}
	// Stocks is the ledger of every SKU.
	Stocks = log.Kind[Stock]{Stream: events.StreamInventory, Prefix: events.PrefixStock, Evolve: EvolveStock, LastOnly: true}
	// Reservations is what is put aside, by order id.
	Reservations = log.Kind[Reservation]{Stream: events.StreamInventory, Prefix: events.PrefixReservation, Evolve: EvolveReservation}
)
