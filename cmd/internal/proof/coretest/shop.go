package coretest

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/auth"
	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/notifications/inbox"
	"tillstream/orders"
	"tillstream/payments"
)

// Config configures a shop.
type Config struct {
	Separate bool                     // run each domain in a process of its own; default: one process runs all
	Calls    int                      // concurrent calls to Stripe; default 32
	HoldFor  time.Duration            // how long stock is reserved for an unpaid order; default 30 min
	Now      func() time.Time         // clock of every domain; default time.Now
	Mail     bool                     // send mails to Shop.Inbox; default: they stay queued
	AutoPay  bool                     // shoppers pay as soon as there is an intent; default: they pay when the test calls Stripe.Pay
	Skew     map[string]time.Duration // offset of the clock of a domain; default: none
}

// Shop is a broker, a fake Stripe and the domains that run on them.
type Shop struct {
	Stripe *Stripe
	Server *embedded.NATS
	Log    *eventlog.Log // of the process that places orders
	Inbox  *inbox.Inbox  // nil without Config.Mail

	config  Config
	logs    map[string]*eventlog.Log // by domain, or one under "shop" for all domains
	running workers
	access  auth.Access // without staff: no test sends a request of theirs
}

// Open starts a broker. No domain runs yet.
func Open(t testing.TB, config Config) *Shop {
	t.Helper()
	if config.HoldFor == 0 {
		config.HoldFor = 30 * time.Minute
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	tokens, err := auth.New(auth.Config{Secrets: "a secret of at least 22 characters"})
	if err != nil {
		t.Fatal(err)
	}
	s := &Shop{Server: logtest.Server(t), config: config, logs: map[string]*eventlog.Log{}, access: auth.Access{Tokens: tokens}}
	if config.Mail {
		if s.Inbox, err = inbox.Start(inbox.Config{Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Inbox.Stop)
	}
	if config.Separate {
		for _, name := range Domains {
			s.logs[name] = s.openLog(t, name)
		}
		s.Log, s.Stripe = s.logs["orders"], newStripe(s.logs["payments"], config.AutoPay)
	} else {
		s.logs["shop"] = s.openLog(t, "shop")
		s.Log, s.Stripe = s.logs["shop"].ForDomain("orders"), newStripe(s.logs["shop"].ForDomain("payments"), config.AutoPay)
	}
	receiver, err := s.build("payments", s.Stripe.log)
	if err != nil {
		t.Fatal(err)
	}
	s.Stripe.webhook = receiver.(webhookReceiver)
	return s
}

// openLog opens a log on an in-process connection, as cmd/shop does.
func (s *Shop) openLog(t testing.TB, source string) *eventlog.Log {
	t.Helper()
	conn, err := s.Server.Conn(nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	now := func() time.Time { return s.config.Now().Add(s.config.Skew[source]) }
	l, err := eventlog.Open(t.Context(), conn, eventlog.Config{Source: source, Logger: logger, Now: now, CacheSize: 200_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// Domains are the names of all domains, in the order in which they handle an order.
var Domains = []string{"inventory", "orders", "payments", "notifications"}

// build returns a domain on a log. Its database is never used, since projections do not run.
func (s *Shop) build(name string, l *eventlog.Log) (domain, error) {
	switch name {
	case "inventory":
		return inventory.New(inventory.Config{Access: s.access, Log: l})
	case "orders":
		return orders.New(orders.Config{Access: s.access, DB: new(mongo.Database), Log: l, Logger: l.Logger(), HoldFor: s.config.HoldFor})
	case "payments":
		return payments.New(payments.Config{Access: s.access, DB: new(mongo.Database), Log: l, Logger: l.Logger(), Gateway: s.Stripe, Concurrency: s.config.Calls,
			SecretKey: "sk_test_saga", PublishableKey: "pk_test_saga", WebhookSecret: "whsec_saga_0123456789abcdef"})
	case "notifications":
		return notifications.New(notifications.Config{Access: s.access, Log: l, Logger: l.Logger(),
			From: "Tillstream <shop@example.com>", PublicURL: "http://127.0.0.1", SMTPURL: s.smtp()})
	}
	return nil, fmt.Errorf("unknown domain %q", name)
}

// smtp is the address of the mail server. Without [Config.Mail] it is never dialled.
func (s *Shop) smtp() string {
	if s.Inbox == nil {
		return "smtp://127.0.0.1:1"
	}
	return "smtp://" + s.Inbox.Addr() + "?tls=none"
}

// customer places an order. Each has an address of its own, because the mails to one address are limited.
func customer(order string) events.Customer {
	return events.Customer{Email: order + "@example.com", Name: "Ada Lovelace", Locale: "en"}
}

var home = events.Address{Line1: "12 Analytical Row", City: "London", PostalCode: "W1J 7NT", Country: "GB"}

// Line is a quantity of one item.
func Line(sku string, quantity int64) events.ReservedLine {
	return events.ReservedLine{SKU: sku, Quantity: quantity}
}

// price returns the same price for every item.
func price(sku string) (orders.Priced, bool) {
	return orders.Priced{Title: "Item " + sku, Price: events.Money{Amount: 1250, Currency: "GBP"}}, true
}

// Place places an order unless it exists, as the handler of POST /api/orders does.
func (s *Shop) Place(ctx context.Context, id string, lines ...events.ReservedLine) error {
	placement := orders.Placement{Customer: customer(id), ShipTo: home, Lines: lines}
	hash, err := placement.Hash()
	if err != nil {
		return err
	}
	return s.Log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithCorrelation(id)
		order, err := orders.Orders.LoadNew(tx, id)
		if err != nil {
			return err
		}
		placed, err := orders.Price(id, placement, hash, price, orders.Terms{HoldFor: s.config.HoldFor}, tx.Now())
		if err != nil {
			return err
		}
		facts, err := order.Place(placed)
		if err != nil {
			return err
		}
		return orders.Orders.Append(tx, id, facts...)
	})
}

// Cancel cancels an order, as its shopper does.
func (s *Shop) Cancel(ctx context.Context, id string) error {
	return s.Log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithCorrelation(id)
		order, err := orders.Orders.Load(tx, id)
		if err != nil {
			return err
		}
		facts, err := order.Cancel(false)
		if err != nil {
			return err
		}
		return orders.Orders.Append(tx, id, facts...)
	})
}

// CheckDeadlines expires the orders whose deadline has passed, as the timer lane does when their timer fires.
func (s *Shop) CheckDeadlines(t testing.TB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		err := s.Log.DoCascade(t.Context(), func(tx *eventlog.Tx) error {
			tx.WithCorrelation(id)
			order, err := orders.Orders.Load(tx, id)
			if err != nil || !order.Exists() {
				return err
			}
			return orders.Orders.Append(tx, id, order.Expire(tx.Now())...)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Order reads an order from the log.
func (s *Shop) Order(t testing.TB, id string) orders.Order {
	t.Helper()
	order, _, err := orders.Orders.Read(t.Context(), s.Log, id)
	if err != nil {
		t.Fatal(err)
	}
	return order
}

// Level reads the stock level of an item.
func (s *Shop) Level(t testing.TB, sku string) events.StockLevel {
	t.Helper()
	stock, _, err := inventory.Stocks.Read(t.Context(), s.Log, sku)
	if err != nil {
		t.Fatal(err)
	}
	return stock.Level
}

// Stock receives units of an item.
func (s *Shop) Stock(t testing.TB, sku string, quantity int64) {
	t.Helper()
	err := s.Log.ForDomain("inventory").Do(t.Context(), func(tx *eventlog.Tx) error {
		var received []events.Payload
		stock, err := inventory.Stocks.Load(tx, sku)
		if err == nil {
			received, err = inventory.AdjustBy(sku, stock.Level, quantity, "received")
		}
		if err != nil {
			return err
		}
		return inventory.Stocks.Append(tx, sku, received...)
	})
	if err != nil {
		t.Fatal(err)
	}
}
