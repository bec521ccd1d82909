package inventory

import (
	"errors"
	"log/slog"

	"tillstream/events"
	"tillstream/events/log"
)

// The entities of this domain in the log.
var (
	// Items is every item, by SKU.
	Items = log.Entity[Item]{Prefix: events.PrefixItem, Apply: ApplyItem, LastOnly: true}
	// Stocks is the ledger of every SKU.
	Stocks = log.Entity[Stock]{Prefix: events.PrefixStock, Apply: ApplyStock, LastOnly: true}
	// Reservations is what is put aside, by order id.
	Reservations = log.Entity[Reservation]{Prefix: events.PrefixReservation, Apply: ApplyReservation}
)

// Access says who may do what.
type Access interface {
	// Staff reports whether an Authorization header is one of the shop's own people.
	Staff(authorization string) bool
}

// Config sets a [Service] up. There is no database in it: what inventory serves and decides comes from the log.
type Config struct {
	Access  Access              // required
	Charges events.ChargeLimits // which prices can be paid; default what Stripe publishes
	Log     *log.Log            // the handle of this domain; required
	Logger  *slog.Logger        // default: the log's
}

// Service is the inventory domain, ready to be run by a process.
type Service struct {
	access    Access
	charges   events.ChargeLimits
	log       *log.Log
	logger    *slog.Logger
	catalogue *catalogue
}

// New checks the configuration and names the field that is missing.
func New(config Config) (*Service, error) {
	if config.Log == nil {
		return nil, errors.New("inventory: Config.Log is required")
	}
	if config.Access == nil {
		return nil, errors.New("inventory: Config.Access is required")
	}
	if config.Logger == nil {
		config.Logger = config.Log.Logger()
	}
	return &Service{access: config.Access, charges: config.Charges, log: config.Log, logger: config.Logger, catalogue: newCatalogue()}, nil
}
