package inventory

import (
	"errors"
	"fmt"
	"log/slog"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

var (
	// ErrCannotFollow is returned for an event that cannot follow the state, such as the confirmation of an order for which
	// nothing is held. The event becomes a dead letter.
	ErrCannotFollow = errors.New("event cannot follow")
	// ErrBadDemand is returned for an order without lines or with a quantity outside 1 to [MaxQuantity].
	ErrBadDemand = errors.New("bad demand")
	// ErrBelowHeld is returned when an adjustment would leave less on hand than is held for orders.
	ErrBelowHeld = errors.New("less than is held for orders")
	// ErrChanged is returned when the stock is not what the sender of an adjustment has seen.
	ErrChanged = errors.New("the stock has changed")
	// ErrOutOfRange is returned when a level would leave 0 to [MaxQuantity].
	ErrOutOfRange = errors.New("quantity out of range")
)

// The entities of this domain in the log.
var (
	// Items are the items, by SKU.
	Items = eventlog.Entity[Item]{Prefix: events.PrefixItem, Apply: ApplyItem, LastOnly: true}
	// Stocks are the ledgers, by SKU.
	Stocks = eventlog.Entity[Stock]{Prefix: events.PrefixStock, Apply: ApplyStock, LastOnly: true}
	// Reservations are the reservations, by order id.
	Reservations = eventlog.Entity[Reservation]{Prefix: events.PrefixReservation, Apply: ApplyReservation}
)

// Config is the configuration of a [Service]. It has no database, because inventory reads only the log.
type Config struct {
	Access    api.StaffAccess     // required
	Charges   events.ChargeLimits // which prices can be paid; default: the limits that Stripe publishes
	HoldLimit HoldLimit           // of the unpaid orders of shoppers; default: none
	Log       *eventlog.Log       // the handle of the domain inventory; required
	Logger    *slog.Logger        // default: the log's
}

// Service is the inventory domain: its API, its part in a worker, and the catalogue, over one log.
type Service struct {
	access    api.StaffAccess
	charges   events.ChargeLimits
	holdLimit HoldLimit
	log       *eventlog.Log
	logger    *slog.Logger
	catalogue *catalogue
}

// New returns the domain, or an error that names the field of the configuration that is missing.
func New(config Config) (*Service, error) {
	if config.Log == nil {
		return nil, errors.New("inventory: Config.Log is required")
	}
	if config.Access == nil {
		return nil, errors.New("inventory: Config.Access is required")
	}
	if limit := config.HoldLimit; limit.Percent < 0 || limit.Percent > 100 || limit.Always < 0 {
		return nil, fmt.Errorf("inventory: Config.HoldLimit is %+v, want 0 to 100 percent and no negative number of units", limit)
	}
	if config.Logger == nil {
		config.Logger = config.Log.Logger()
	}
	return &Service{access: config.Access, charges: config.Charges, holdLimit: config.HoldLimit, log: config.Log, logger: config.Logger, catalogue: newCatalogue()}, nil
}
