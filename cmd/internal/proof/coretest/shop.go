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
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// Config says what kind of shop a test wants.
type Config struct {
	Apart   bool                     // each domain is a process of its own; default: one process runs all
	Calls   int                      // to the bank at a time; default 32, as for Stripe
	HoldFor time.Duration            // how long stock waits for the money; default 30 min
	Now     func() time.Time         // clock of every domain; default time.Now
	Paying  bool                     // shoppers pay as soon as there is an intent; else the test says when, by Bank.Pay
	Skew    map[string]time.Duration // by how much a domain's clock is wrong
}

// Shop is one broker and what the domains of one shop need.
type Shop struct {
	Bank   *Bank
	Server *embedded.NATS
	Log    *log.Log // of the process that takes orders

	config  Config
	logs    map[string]*log.Log // of the first process of each domain, or of the one process that is the "shop"
	running workers
	tokens  *auth.Tokens
}

// Open starts a broker and opens the door. No domain runs yet.
func Open(t testing.TB, config Config) *Shop {
	t.Helper()
	if config.HoldFor == 0 {
		config.HoldFor = 30 * time.Minute
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	tokens, err := auth.New("a secret of at least 22 characters", "the staff's token, as long")
	if err != nil {
		t.Fatal(err)
	}
	s := &Shop{Server: logtest.Server(t), config: config, logs: map[string]*log.Log{}, tokens: tokens}
	if config.Apart {
		for _, name := range Domains {
			s.logs[name] = s.openLog(t, name)
		}
		s.Log, s.Bank = s.logs["orders"], newBank(s.logs["payments"], config.Paying)
	} else {
		s.logs["shop"] = s.openLog(t, "shop")
		s.Log, s.Bank = s.logs["shop"].ForDomain("orders"), newBank(s.logs["shop"].ForDomain("payments"), config.Paying)
	}
	till, err := s.build("payments", s.Bank.log)
	if err != nil {
		t.Fatal(err)
	}
	s.Bank.till = till.(receiver)
	return s
}

// openLog opens a log on a connection of its own, past the network as cmd/shop does.
func (s *Shop) openLog(t testing.TB, source string) *log.Log {
	t.Helper()
	conn, err := s.Server.Conn(nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	now := func() time.Time { return s.config.Now().Add(s.config.Skew[source]) }
	l, err := log.Open(t.Context(), conn, log.Config{Source: source, Logger: logger, Now: now, CacheSize: 200_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// Domains are all of them, in the order that an order meets them.
var Domains = []string{"inventory", "orders", "payments", "notifications"}

// build makes a domain on a log. Nothing here touches its database: views are not run.
func (s *Shop) build(name string, l *log.Log) (domain, error) {
	switch name {
	case "inventory":
		return inventory.New(inventory.Config{Access: s.tokens, Log: l})
	case "orders":
		return orders.New(orders.Config{Access: s.tokens, DB: new(mongo.Database), Log: l, Logger: l.Logger(), HoldFor: s.config.HoldFor})
	case "payments":
		return payments.New(payments.Config{Access: s.tokens, DB: new(mongo.Database), Log: l, Logger: l.Logger(), Gateway: s.Bank, Concurrency: s.config.Calls,
			SecretKey: "sk_test_saga", PublishableKey: "pk_test_saga", WebhookSecret: "whsec_saga"})
	case "notifications":
		return notifications.New(notifications.Config{Access: s.tokens, Log: l, Logger: l.Logger(),
			From: "Tillstream <shop@example.com>", PublicURL: "http://127.0.0.1", SMTPURL: "smtp://127.0.0.1:1"})
	}
	return nil, fmt.Errorf("there is no domain %q", name)
}

// customer is everybody.
var customer = events.Customer{Email: "ada@example.com", Name: "Ada Lovelace", Locale: "en"}

var home = events.Address{Line1: "12 Analytical Row", City: "London", PostalCode: "W1J 7NT", Country: "GB"}

// Line is a quantity of one item.
func Line(sku string, quantity int64) events.ReservedLine {
	return events.ReservedLine{SKU: sku, Quantity: quantity}
}

// price is the same for everything.
func price(sku string) (orders.Priced, bool) {
	return orders.Priced{Title: "Item " + sku, Price: events.Money{Amount: 1250, Currency: "GBP"}}, true
}

// Place records an order, or finds it placed already, as the handler of POST /api/orders does.
func (s *Shop) Place(ctx context.Context, id string, lines ...events.ReservedLine) error {
	placement := orders.Placement{Customer: customer, ShipTo: home, Lines: lines}
	hash, err := placement.Hash()
	if err != nil {
		return err
	}
	return s.Log.Do(ctx, func(tx *log.Tx) error {
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

// Cancel calls an order off, as its shopper would.
func (s *Shop) Cancel(ctx context.Context, id string) error {
	return s.Log.Do(ctx, func(tx *log.Tx) error {
		tx.WithCorrelation(id)
		order, err := orders.Orders.Load(tx, id)
		if err != nil {
			return err
		}
		facts, err := order.Cancel()
		if err != nil {
			return err
		}
		return orders.Orders.Append(tx, id, facts...)
	})
}

// Due has the deadline of orders looked at, as their timer does: at whatever time the test likes.
func (s *Shop) Due(t testing.TB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		err := s.Log.DoCascade(t.Context(), func(tx *log.Tx) error {
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

// Order is an order as the log has it.
func (s *Shop) Order(t testing.TB, id string) orders.Order {
	t.Helper()
	order, _, err := orders.Orders.Read(t.Context(), s.Log, id)
	if err != nil {
		t.Fatal(err)
	}
	return order
}

// Level is what there is of an item.
func (s *Shop) Level(t testing.TB, sku string) events.StockLevel {
	t.Helper()
	stock, _, err := inventory.Stocks.Read(t.Context(), s.Log, sku)
	if err != nil {
		t.Fatal(err)
	}
	return stock.Level
}

// Stock puts goods on the shelf.
func (s *Shop) Stock(t testing.TB, sku string, quantity int64) {
	t.Helper()
	err := s.Log.ForDomain("inventory").Do(t.Context(), func(tx *log.Tx) error {
		stock, err := inventory.Stocks.Load(tx, sku)
		if err != nil {
			return err
		}
		facts, err := inventory.AdjustBy(sku, stock.Level, quantity, "received")
		if err != nil {
			return err
		}
		return inventory.Stocks.Append(tx, sku, facts...)
	})
	if err != nil {
		t.Fatal(err)
	}
}
