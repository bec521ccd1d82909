package orders

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/index"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
)

// Access makes and checks the tokens of requests.
type Access interface {
	api.OrderAccess
	api.StaffAccess
	// Token returns the access token of an order.
	Token(orderID string) string
}

// MaxOrderLines is the greatest Config.MaxLines. Inventory holds an order in one atomic batch, with an event for each line and
// one for the reservation, and the broker limits the size of a batch.
const MaxOrderLines = 800

// Orders is the entity of this domain: an order, by its id.
var Orders = eventlog.Entity[Order]{Prefix: events.PrefixOrder, Apply: Order.Apply}

// Config is the configuration of a [Service].
type Config struct {
	Access      Access              // required
	Charges     events.ChargeLimits // which totals can be paid; default: the limits that Stripe publishes
	DB          *mongo.Database     // of the projection; required
	ExpireEvery time.Duration       // how often the periodic job looks for unpaid orders whose timer was missed; default 1 min
	HoldFor     time.Duration       // how long stock is held for an unpaid order; default 30 min
	Limits      Limits              // default: 5000 units, 5 unpaid orders per e-mail address, 50 per client address, short holds of 10 min
	Log         *eventlog.Log       // the handle of the domain orders; required
	Logger      *slog.Logger        // required
	MaxLines    int                 // different items per order; default 100, at most MaxOrderLines
	Proxies     api.Proxies         // before this process; default: none
	Shipping    ShippingFees        // default free
	Streams     api.StreamLimits    // of the streams that follow orders; default: those of [api.StreamLimits]
}

// Service is the orders domain: its API, its part in a worker, and its projection, over one log.
type Service struct {
	config      Config
	prices      *prices
	index       *index.Index[row]
	expiryPace  project.Pace // paces the search for orders to expire
	open        *openOrders
	streams     *api.Streams
	subscribers *subscribers
}

// New returns the domain, or an error that names the field of the configuration that is wrong.
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
	case config.Limits.Units < 0 || config.Limits.Units > MaxQuantity:
		return nil, fmt.Errorf("orders: Config.Limits.Units is %d, want 1 to %d", config.Limits.Units, MaxQuantity)
	case config.Limits.OpenPerEmail < 0 || config.Limits.OpenPerAddress < 0 || config.Limits.ShortHoldFor < 0:
		return nil, errors.New("orders: Config.Limits must not be negative")
	case config.HoldFor < 0 || config.ExpireEvery < 0:
		return nil, errors.New("orders: Config.HoldFor and Config.ExpireEvery must not be negative")
	}
	config.HoldFor = cmp.Or(config.HoldFor, 30*time.Minute)
	config.MaxLines = cmp.Or(config.MaxLines, 100)
	config.ExpireEvery = cmp.Or(config.ExpireEvery, time.Minute)
	config.Limits = config.Limits.withDefaults()
	streams, err := api.NewStreams(config.Streams)
	if err != nil {
		return nil, fmt.Errorf("orders: Config.Streams: %w", err)
	}
	return &Service{config: config, open: newOpenOrders(), prices: &prices{}, index: newIndex(config.Logger), streams: streams, subscribers: newSubscribers()}, nil
}

// Ready returns an error until the price list is read, before which an order would cost one read of the log per item, and until
// the unpaid orders are read, which are counted.
func (s *Service) Ready() error {
	if !s.prices.ready.Load() {
		return errors.New("orders: the price list is still being read")
	}
	if !s.open.ready.Load() {
		return errors.New("orders: the unpaid orders are still being read")
	}
	return nil
}
