package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/inventory"
)

// hold reserves A and B for a buyer on one replica. Every second buyer names them in opposite order.
func hold(replica *shop, buyer int) error {
	id, wanted := fmt.Sprintf("o%d", buyer), lines(1, "A", "B")
	if buyer%2 == 1 {
		wanted = lines(1, "B", "A")
	}
	return replica.log.Do(context.Background(), func(tx *eventlog.Tx) error {
		return inventory.UpdateReservation(tx, id, events.OrderPlaced{OrderID: id}, wanted, inventory.HoldLimit{})
	})
}

// Row 29 of the fault matrix: 40 buyers order two items in opposite order, and there are 20 of each. Two replicas handle every
// order at the same time, as when one was suspended and resumes. The lease only saves work; the expected sequence of each
// append prevents overselling.
func TestOrdersOfTwoItemsInOppositeOrderNeverOversell(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	replicas := []*shop{openOn(t, server), openOn(t, server)}
	replicas[0].stock(t, "A", 20)
	replicas[0].stock(t, "B", 20)
	const buyers = 40
	var racing sync.WaitGroup
	for i, replica := range replicas {
		racing.Go(func() {
			for n := range buyers {
				buyer := n
				if i == 1 {
					buyer = buyers - 1 - n // from the other end, so that the replicas handle different orders at first
				}
				if err := hold(replica, buyer); err != nil {
					t.Error(err)
				}
			}
		})
	}
	racing.Wait()
	held := 0
	for buyer := range buyers {
		if replicas[0].reservation(t, fmt.Sprintf("o%d", buyer)).State == inventory.StateHeld {
			held++
		}
	}
	want := events.StockLevel{OnHand: 20, Held: 20}
	if a, b := replicas[1].level(t, "A"), replicas[1].level(t, "B"); held != 20 || a != want || b != want {
		t.Fatalf("got %d held orders, A %+v, B %+v; want 20 and %+v", held, a, b, want)
	}
}

// rounds returns how many rounds a race has: the value of CONTENTION_ROUNDS, by default least.
func rounds(t *testing.T, least int) int {
	t.Helper()
	text := os.Getenv("CONTENTION_ROUNDS")
	if text == "" {
		return least
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("CONTENTION_ROUNDS: %v", err)
	}
	return n
}

const (
	lastUnitBuyers = 64 // of each replica
	lastUnitAtOnce = 25 // rounds that run at a time
)

// Row 28 of the fault matrix: two replicas with 64 buyers each race for the last unit of an item, many times. Each replica
// decides about many buyers in one transaction, and again after a conflict with the other. The expected sequence of each
// append prevents overselling.
func TestTheLastUnitIsHeldForOneOrder(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	replicas := []*shop{openOn(t, server), openOn(t, server)}
	n := rounds(t, 100)
	var group errgroup.Group
	group.SetLimit(lastUnitAtOnce)
	for round := range n {
		group.Go(func() error { return lastUnit(t.Context(), replicas, fmt.Sprintf("last-%d", round)) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	winners := map[string]int{}
	for id, state := range reservations(t, replicas[0].log, n*2*lastUnitBuyers) {
		sku, _, _ := strings.Cut(id, "_")
		if winners[sku] += 0; state == inventory.StateHeld {
			winners[sku]++
		}
	}
	for sku, held := range winners {
		stock, _, err := inventory.Stocks.Read(t.Context(), replicas[1].log, sku)
		if err != nil || held != 1 || stock.Level != (events.StockLevel{OnHand: 1, Held: 1}) {
			t.Errorf("%s: got %d holding orders, level %+v, %v; want 1", sku, held, stock.Level, err)
		}
	}
	if len(winners) != n {
		t.Errorf("got reservations of %d rounds, want %d", len(winners), n)
	}
}

// lastUnit runs one round.
func lastUnit(ctx context.Context, replicas []*shop, sku string) error {
	if err := receive(ctx, replicas[0].log, sku, 1); err != nil {
		return err
	}
	var racing errgroup.Group
	for i, replica := range replicas {
		for buyer := range lastUnitBuyers {
			id := fmt.Sprintf("%s_%d_%d", sku, i, buyer)
			racing.Go(func() error {
				return replica.log.DoCascade(ctx, func(tx *eventlog.Tx) error {
					return inventory.UpdateReservation(tx, id, events.OrderPlaced{OrderID: id}, lines(1, sku), inventory.HoldLimit{})
				})
			})
		}
	}
	return racing.Wait()
}

// reservations returns the states of n orders from the log, in which each has one event.
func reservations(t *testing.T, l *eventlog.Log, n int) map[string]inventory.State {
	t.Helper()
	states, errComplete := map[string]inventory.State{}, errors.New("complete")
	err := l.Follow(t.Context(), 1, func(m eventlog.Message) error {
		id, ok := events.ParseSubject(events.PrefixReservation, m.Subject)
		if !ok {
			return nil
		}
		e, err := m.Event()
		if err != nil {
			return err
		}
		if before, exists := states[id]; exists {
			t.Errorf("order %s: got %s and another event, %s; want one event", id, before, e.Type)
		}
		states[id] = inventory.StateRefused
		if _, held := e.Payload.(events.ReservationHeld); held {
			states[id] = inventory.StateHeld
		}
		if len(states) == n {
			return errComplete
		}
		return nil
	})
	if !errors.Is(err, errComplete) {
		t.Fatalf("got %d orders, %v; want %d", len(states), err, n)
	}
	return states
}

func receive(ctx context.Context, l *eventlog.Log, sku string, quantity int64) error {
	return l.Do(ctx, func(tx *eventlog.Tx) error { return receiveIn(tx, sku, quantity) })
}

func receiveIn(tx *eventlog.Tx, sku string, quantity int64) error {
	stock, err := inventory.Stocks.Load(tx, sku)
	if err != nil {
		return err
	}
	facts, err := inventory.AdjustBy(sku, stock.Level, quantity, "received")
	if err != nil {
		return err
	}
	return inventory.Stocks.Append(tx, sku, facts...)
}

// Row 32 of the fault matrix: an order is confirmed and cancelled at the same time, on two replicas. One of the two wins. A
// cancellation that is too late appends nothing; a confirmation that is too late is an error, so staff see a dead letter.
func TestOneOfReleaseAndCommitWins(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	replicas := []*eventlog.Log{logtest.OpenOn(t, server), logtest.OpenOn(t, server)}
	sold := int64(0)
	n := rounds(t, 100)
	if err := receive(t.Context(), replicas[0], "A", int64(n)); err != nil {
		t.Fatal(err)
	}
	for round := range n {
		if raceToEnd(t, replicas, fmt.Sprintf("o%d", round), round%2) == inventory.StateCommitted {
			sold++
		}
	}
	t.Logf("%d of %d were sold", sold, n)
	stock, _, err := inventory.Stocks.Read(t.Context(), replicas[1], "A")
	if want := (events.StockLevel{OnHand: int64(n) - sold, Available: int64(n) - sold}); err != nil || stock.Level != want {
		t.Errorf("got level %+v, %v; want %+v", stock.Level, err, want)
	}
}

// raceToEnd holds one unit of A for an order on the replica number held, which then has it in its cache. It commits the
// reservation on one replica while it releases it on the other, and returns its final state.
func raceToEnd(t *testing.T, replicas []*eventlog.Log, id string, held int) inventory.State {
	t.Helper()
	update := func(l *eventlog.Log, event events.Payload) error {
		return l.Do(t.Context(), func(tx *eventlog.Tx) error {
			return inventory.UpdateReservation(tx, id, event, lines(1, "A"), inventory.HoldLimit{})
		})
	}
	if err := update(replicas[held], events.OrderPlaced{OrderID: id}); err != nil {
		t.Fatal(err)
	}
	var racing sync.WaitGroup
	var confirmed, cancelled error
	racing.Go(func() { confirmed = update(replicas[0], events.OrderConfirmed{}) })
	racing.Go(func() { cancelled = update(replicas[1], events.OrderCancelled{}) })
	racing.Wait()
	r, _, err := inventory.Reservations.Read(t.Context(), replicas[1-held], id)
	if err != nil || cancelled != nil {
		t.Fatal(err, cancelled)
	}
	sold := r.State == inventory.StateCommitted && confirmed == nil
	released := r.State == inventory.StateReleased && errors.Is(confirmed, inventory.ErrCannotFollow)
	if !sold && !released {
		t.Fatalf("%s: got %s and confirmation error %v, want exactly one of release and commit", id, r.State, confirmed)
	}
	return r.State
}
