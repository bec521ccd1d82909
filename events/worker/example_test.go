package worker_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// A worker with one route: inventory answers every order with a reservation.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	shop, closeShop, err := openShop(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer closeShop()

	orders := eventlog.Entity[string]{Prefix: events.PrefixOrder, Apply: func(_ string, e events.Event) (string, error) { return e.Type, nil }}
	reservations := eventlog.Entity[string]{Prefix: events.PrefixReservation, Apply: func(_ string, e events.Event) (string, error) { return e.Type, nil }}
	reserved := make(chan string)

	inventory := worker.Domain{
		Name: "inventory",
		Log:  shop.ForDomain("inventory"),
		Routes: []worker.Route{
			worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error {
				state, err := reservations.Load(tx, p.OrderID)
				if err != nil || state != "" {
					return err // an event that is handled again must have no second effect
				}
				return reservations.Append(tx, p.OrderID, events.ReservationHeld{OrderID: p.OrderID})
			}),
		},
		Watches: []worker.Watch{{Prefixes: []string{events.PrefixReservation}, Handle: func(e events.Event) {
			reserved <- fmt.Sprintf("%s by %s: %s", e.Type, e.Source, e.Subject)
		}}},
	}
	w, err := worker.New(ctx, shop, worker.Config{Domains: []worker.Domain{inventory}})
	if err != nil {
		fmt.Println(err)
		return
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	stopped := make(chan error)
	go func() { stopped <- w.Run(running) }()

	for _, id := range []string{"order-1", "order-2"} {
		err := shop.ForDomain("orders").Do(ctx, func(tx *eventlog.Tx) error {
			return orders.Append(tx, id, events.OrderPlaced{OrderID: id})
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(<-reserved)
	}
	stop()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// inventory.reservation_held by inventory: inventory.reservations.order-1
	// inventory.reservation_held by inventory: inventory.reservations.order-2
	// stopped: <nil>
}

// openShop opens the log of a new shop, on a broker inside the process.
func openShop(ctx context.Context) (shop *eventlog.Log, closeShop func(), err error) {
	dir, err := os.MkdirTemp("", "worker-example")
	if err != nil {
		return nil, nil, err
	}
	server, err := embedded.StartNATS(embedded.NATSConfig{Dir: dir, Addr: "127.0.0.1:0"})
	if err != nil {
		return nil, nil, err
	}
	conn, err := server.Conn(eventlog.HistoryQueue())
	if err != nil {
		return nil, nil, err
	}
	shop, err = eventlog.Open(ctx, conn, eventlog.Config{Source: "example"})
	if err != nil {
		return nil, nil, err
	}
	return shop, func() {
		shop.Close()
		conn.Close()
		server.Stop()
		_ = os.RemoveAll(dir) // a directory that is left behind does not fail the example
	}, nil
}
