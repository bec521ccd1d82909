package orders

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/project"
)

// Access says who may see what. It is the caller's: how tokens are made is no business of this package.
type Access interface {
	// Token is what opens one order for a guest.
	Token(orderID string) string
	// Allows reports whether an Authorization header opens an order.
	Allows(orderID, authorization string) bool
	// Staff reports whether an Authorization header is a member of staff's.
	Staff(authorization string) bool
}

// MaxOrderLines is the most that MaxLines can be: a hold is one atomic batch of one entry per line and one for the reservation.
const MaxOrderLines = 800

// Orders is the entity of this domain: every order, by its id.
var Orders = log.Entity[Order]{Prefix: events.PrefixOrder, Apply: Order.Apply}

// Config sets a [Service] up.
type Config struct {
	Access     Access
	Charges    events.ChargeLimits // which totals can be paid; default what Stripe publishes
	DB         *mongo.Database
	HoldFor    time.Duration // how long stock waits for the money; default 30 min
	Log        *log.Log      // the handle of orders
	Logger     *slog.Logger
	MaxLines   int           // different items per order; default 100, at most MaxOrderLines
	Shipping   ShippingFees  // default free
	SweepEvery time.Duration // default a minute
}

// Service is the orders domain: its API, its part in a worker, and its projection, over one log.
type Service struct {
	config   Config
	prices   *prices
	sweeping project.Pace // of the search for overdue orders
	watch    *watchers
}

// New checks the configuration, naming the field that is wrong.
func New(config Config) (*Service, error) {
	switch {
	case config.Access == nil:
		return nil, errors.New("orders: Config.Access is required")
	case config.DB == nil:
		return nil, errors.New("orders: Config.DB is required")
	case config.Log == nil:
		return nil, errors.New("orders: Config.Log is required")
	case config.Logger == nil:
		return nil, errors.New("orders: Config.Logger is required")
	case config.MaxLines < 0 || config.MaxLines > MaxOrderLines:
		return nil, fmt.Errorf("orders: Config.MaxLines is %d, want 1 to %d", config.MaxLines, MaxOrderLines)
	case config.HoldFor < 0 || config.SweepEvery < 0:
		return nil, errors.New("orders: Config.HoldFor and SweepEvery must not be negative")
	}
	if config.HoldFor == 0 {
		config.HoldFor = 30 * time.Minute
	}
	if config.MaxLines == 0 {
		config.MaxLines = 100
	}
	if config.SweepEvery == 0 {
		config.SweepEvery = time.Minute
	}
	return &Service{config: config, prices: &prices{}, watch: newWatchers()}, nil
}

// Ready returns nil once the price list is read: before that every item of an order costs a read of the log.
func (s *Service) Ready() error {
	if !s.prices.ready.Load() {
		return errors.New("orders: reading the price list")
	}
	return nil
}
