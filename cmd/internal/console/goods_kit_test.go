package console

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
	"tillstream/inventory"
	"tillstream/payments"
)

// goods is a console with the domains of stock and payments behind it.
type goods struct {
	*world
	stock *inventory.Service
	bank  *bank
}

// bank is Stripe with one payout, or a Stripe that does not answer.
type bank struct {
	payments.Gateway
	down   bool
	payout payments.Payout // none without an id
	booked []payments.BalanceTransaction
}

var errDown = &payments.GatewayError{Kind: payments.ErrRetry, Status: http.StatusServiceUnavailable, Message: "down"}

func (b *bank) ListPayouts(context.Context, int, string) ([]payments.Payout, bool, error) {
	if b.down {
		return nil, false, errDown
	}
	if b.payout.ID == "" {
		return nil, false, nil
	}
	return []payments.Payout{b.payout}, false, nil
}

func (b *bank) RetrievePayout(context.Context, string) (payments.Payout, error) {
	if b.down {
		return payments.Payout{}, errDown
	}
	return b.payout, nil
}

func (b *bank) ListBalance(_ context.Context, _ payments.BalanceQuery, fn func(payments.BalanceTransaction) error) error {
	for _, t := range b.booked {
		if err := fn(t); err != nil {
			return err
		}
	}
	return nil
}

// orderTokens is an access without tokens of orders.
type orderTokens struct{ api.StaffAccess }

// Allows implements api.OrderAccess.
func (orderTokens) Allows(string, string) bool { return false }

// openGoods starts a console, the API of stock and payments, and the lanes that they need.
func openGoods(t testing.TB, change ...func(*Config)) *goods {
	t.Helper()
	g := &goods{bank: &bank{}}
	var start func()
	build := func(config *Config) { start = g.build(t, config) }
	g.world = open(t, append([]func(*Config){build}, change...)...)
	start()
	return g
}

// build makes the API of a console's configuration, and returns a function that starts its lanes.
func (g *goods) build(t testing.TB, config *Config) (start func()) {
	t.Helper()
	l := config.Log.Log()
	stock, err := inventory.New(inventory.Config{Access: config.Access, Log: l.ForDomain("inventory")})
	if err != nil {
		t.Fatal(err)
	}
	paying, err := payments.New(payments.Config{Access: orderTokens{config.Access}, DB: config.DB, Log: l.ForDomain("payments"), Gateway: g.bank, SecretKey: "sk_test_x",
		PublishableKey: "pk_test_x", WebhookSecret: "whsec_x_0123456789abcdef", StripeAPIBase: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	mux := api.NewMux()
	router := api.New(mux)
	stock.Register(router)
	paying.Register(router)
	mux.HandleFunc("GET /ops/api/orders", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"orders":[{"id":"late-1","number":"8F3K2-MQD7A","email":"ada@example.com","total":{"amount":1250,"currency":"GBP"}}]}`)) // the recorder never fails
	})
	config.API, g.stock = api.Routes(mux), stock
	listing := worker.Domain{Name: "payments", Log: l.ForDomain("payments"), Watches: paying.Worker().Watches}
	return func() { g.run(l, stock.Worker(), listing) }
}

// run runs the lanes until the test ends.
func (g *goods) run(l *eventlog.Log, domains ...worker.Domain) {
	g.t.Helper()
	w, err := worker.New(g.t.Context(), l, worker.Config{Domains: domains})
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			g.t.Error(err)
		}
	})
	g.t.Cleanup(func() { cancel(); running.Wait() })
	g.await("the catalogue is loaded", func() bool { return g.stock.Ready() == nil })
}

// await waits until something holds.
func (g *goods) await(what string, holds func() bool) {
	g.t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			g.t.Fatalf("after 20 s: want %s", what)
		case <-tick.C:
		}
	}
}

// list lists an item with a count, and waits until the list has it.
func (g *goods) list(sku, title string, onHand int64, tags ...string) {
	g.t.Helper()
	before := g.stock.Count()
	puts, err := g.stock.PutItems(g.t.Context(), []inventory.Listing{{SKU: sku, Title: title, Description: "About " + title, Price: events.Money{Amount: 850, Currency: "GBP"},
		Tags: tags, OnHand: &onHand, Reason: "first count"}}, events.Author{Actor: "staff:ada", Reason: "opening"})
	if err == nil {
		err = puts[0].Err
	}
	if err != nil {
		g.t.Fatal(err)
	}
	g.await("the item is listed", func() bool { return g.stock.Count() > before })
}
