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
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/inventory"
)

// hold has one replica hear a buyer's order for A and B; every second one names them in opposite order.
func hold(replica *shop, buyer int) error {
	id, wanted := fmt.Sprintf("o%d", buyer), lines(1, "A", "B")
	if buyer%2 == 1 {
		wanted = lines(1, "B", "A")
	}
	return replica.log.Do(context.Background(), func(tx *log.Tx) error {
		return inventory.React(tx, id, events.OrderPlaced{OrderID: id}, wanted)
	})
}

// Row 29 of the fault matrix: 40 buyers of two items, named in opposite order, of each of which there are 20. Two replicas
// hear every order at once, as when one was thought dead and wakes up. That only one of them reads is for efficiency;
// compare-and-set is what holds.
func TestTwoItemsInOppositeOrder(t *testing.T) {
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
					buyer = buyers - 1 - n // from the other end, so that they meet at different orders
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
		t.Fatalf("%d orders hold; A %+v, B %+v; want 20 and %+v", held, a, b, want)
	}
}

// rounds is how often a race is run: 1,000 times with CONTENTION_ROUNDS=1000, less by default.
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

// Row 28 of the fault matrix: two replicas with 64 buyers each race for the last unit of an item, many times over. Each
// replica has its worker decide on its buyers, many in one transaction, and again on those whom the other was faster at.
// One of the two has the lease; compare-and-set is what holds.
func TestTheLastUnitHasOneWinner(t *testing.T) {
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
			t.Errorf("%s: %d hold it, level %+v, %v", sku, held, stock.Level, err)
		}
	}
	if len(winners) != n {
		t.Errorf("%d rounds left a trace, want %d", len(winners), n)
	}
}

// lastUnit is one round.
func lastUnit(ctx context.Context, replicas []*shop, sku string) error {
	if err := receive(ctx, replicas[0].log, sku, 1); err != nil {
		return err
	}
	var racing errgroup.Group
	for i, replica := range replicas {
		for buyer := range lastUnitBuyers {
			id := fmt.Sprintf("%s_%d_%d", sku, i, buyer)
			racing.Go(func() error {
				return replica.log.DoCascade(ctx, func(tx *log.Tx) error {
					return inventory.React(tx, id, events.OrderPlaced{OrderID: id}, lines(1, sku))
				})
			})
		}
	}
	return racing.Wait()
}

// reservations reads in the log how n orders stand, of which it tells each once.
func reservations(t *testing.T, l *log.Log, n int) map[string]inventory.State {
	t.Helper()
	states, errEnough := map[string]inventory.State{}, errors.New("enough")
	err := l.Follow(t.Context(), 1, func(m log.Message) error {
		id, ok := events.ParseSubject(events.PrefixReservation, m.Subject)
		if !ok {
			return nil
		}
		e, err := m.Event()
		if err != nil {
			return err
		}
		if before, twice := states[id]; twice {
			t.Errorf("%s is %s and hears %s", id, before, e.Type)
		}
		states[id] = inventory.StateRefused
		if _, held := e.Payload.(events.ReservationHeld); held {
			states[id] = inventory.StateHeld
		}
		if len(states) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("%d of %d orders: %v", len(states), n, err)
	}
	return states
}

func receive(ctx context.Context, l *log.Log, sku string, quantity int64) error {
	return l.Do(ctx, func(tx *log.Tx) error { return receiveIn(tx, sku, quantity) })
}

func receiveIn(tx *log.Tx, sku string, quantity int64) error {
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

// Row 32 of the fault matrix: an order is confirmed and cancelled at once, on two replicas. One of the two wins. A
// cancellation that is too late says nothing; a confirmation that is too late is refused, so that staff see it.
func TestReleaseAndCommitOfOneHold(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	replicas := []*log.Log{logtest.OpenOn(t, server), logtest.OpenOn(t, server)}
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
		t.Errorf("level %+v, %v; want %+v", stock.Level, err, want)
	}
}

// raceToEnd holds one unit of A for an order, has it sold on one replica and given back on the other, and returns how it
// ended. The replica of number held has held it, and so knows its state without asking.
func raceToEnd(t *testing.T, replicas []*log.Log, id string, held int) inventory.State {
	t.Helper()
	react := func(l *log.Log, said events.Payload) error {
		return l.Do(t.Context(), func(tx *log.Tx) error { return inventory.React(tx, id, said, lines(1, "A")) })
	}
	if err := react(replicas[held], events.OrderPlaced{OrderID: id}); err != nil {
		t.Fatal(err)
	}
	var racing sync.WaitGroup
	var confirmed, cancelled error
	racing.Go(func() { confirmed = react(replicas[0], events.OrderConfirmed{}) })
	racing.Go(func() { cancelled = react(replicas[1], events.OrderCancelled{}) })
	racing.Wait()
	r, _, err := inventory.Reservations.Read(t.Context(), replicas[1-held], id)
	if err != nil || cancelled != nil {
		t.Fatal(err, cancelled)
	}
	soldAndHeard := r.State == inventory.StateCommitted && confirmed == nil
	backAndRefused := r.State == inventory.StateReleased && errors.Is(confirmed, inventory.ErrCannotFollow)
	if !soldAndHeard && !backAndRefused {
		t.Fatalf("%s is %s, its confirmation: %v", id, r.State, confirmed)
	}
	return r.State
}
