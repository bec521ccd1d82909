package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/inventory"
)

const (
	shelfOrders  = 8 // that one history is about
	shelfClients = 6
	shelfDeeds   = 25 // of each client
)

// deed is one operation on the shelf of one item.
type deed struct {
	said  events.Payload // what the order says; nil: units are received
	order int
	units int64
	short bool // nothing is done: fewer units than these are seen to be available
}

// result is what the doer of a deed learnt. The level is known to whoever moved it.
type result struct {
	state   inventory.State // of the reservation, afterwards
	refused bool            // by this deed, not before
	moved   bool
	level   events.StockLevel
}

// shelf is the sequential model: one item, as a shopkeeper with a pencil would keep it.
type shelf struct {
	level  events.StockLevel
	orders [shelfOrders]inventory.State
}

var shelfModel = porcupine.Model{
	Init: func() any { return shelf{} },
	Step: func(state, input, output any) (bool, any) {
		before, d, got := state.(shelf), input.(deed), output.(result)
		if d.short {
			return before.level.Available < d.units, before
		}
		next, want := before.step(d, got.refused)
		return want == got, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// step does a deed. A refusal writes the reservation and not the shelf, so the log does not hold the two together: that the
// shelf was short is a deed of its own, at another moment of the same attempt.
func (s shelf) step(d deed, refused bool) (shelf, result) {
	if d.said == nil {
		s.level.OnHand, s.level.Available = s.level.OnHand+d.units, s.level.Available+d.units
		return s, result{moved: true, level: s.level}
	}
	state, moved := &s.orders[d.order], false
	switch d.said.(type) {
	case events.OrderPlaced:
		switch {
		case *state != inventory.StateNone:
		case refused:
			*state = inventory.StateRefused
			return s, result{state: *state, refused: true}
		case s.level.Available < d.units: // must have been refused
			return s, result{state: inventory.StateRefused}
		default:
			*state, moved = inventory.StateHeld, true
			s.level.Available, s.level.Held = s.level.Available-d.units, s.level.Held+d.units
		}
	case events.OrderCancelled:
		switch *state {
		case inventory.StateNone:
			*state = inventory.StateReleased
		case inventory.StateHeld:
			*state, moved = inventory.StateReleased, true
			s.level.Available, s.level.Held = s.level.Available+d.units, s.level.Held-d.units
		}
	case events.OrderConfirmed:
		if *state == inventory.StateHeld {
			*state, moved = inventory.StateCommitted, true
			s.level.OnHand, s.level.Held = s.level.OnHand-d.units, s.level.Held-d.units
		}
	}
	if moved {
		return s, result{state: *state, moved: true, level: s.level}
	}
	return s, result{state: *state}
}

// do carries a deed out in the log and returns what its doer learnt.
func (d deed) do(ctx context.Context, l *log.Log, sku string) (result, error) {
	var got result
	if d.said == nil {
		err := l.Do(ctx, func(tx *log.Tx) (err error) {
			if err := receiveIn(tx, sku, d.units); err != nil {
				return err
			}
			got, err = learn(tx, sku, "", true)
			return err
		})
		return got, err
	}
	id := fmt.Sprintf("%s_%d", sku, d.order)
	err := l.Do(ctx, func(tx *log.Tx) error {
		before := tx.Len()
		refused := inventory.React(tx, id, d.said, lines(d.units, sku))
		if refused != nil && !errors.Is(refused, inventory.ErrCannotFollow) {
			return refused
		}
		var err error
		got, err = learn(tx, sku, id, tx.Len() > before+1) // a movement comes with the word about the reservation
		got.refused = tx.Len() == before+1 && got.state == inventory.StateRefused
		return err
	})
	return got, err
}

func learn(tx *log.Tx, sku, id string, moved bool) (result, error) {
	got := result{moved: moved}
	if id != "" {
		r, err := inventory.Reservations.Load(tx, id)
		if err != nil {
			return got, err
		}
		got.state = r.State
	}
	if moved {
		stock, err := inventory.Stocks.Load(tx, sku)
		if err != nil {
			return got, err
		}
		got.level = stock.Level
	}
	return got, nil
}

// Holds, releases, sales and receipts from three processes at once look, to everybody who takes part, as if they had
// happened one after the other.
func TestStockIsLinearizable(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	logs := []*log.Log{logtest.OpenOn(t, server), logtest.OpenOn(t, server), logtest.OpenOn(t, server)}
	for n := range rounds(t, 10) {
		seed := rand.Uint64()
		history := record(t, logs, fmt.Sprintf("shelf-%d", n), seed)
		switch porcupine.CheckOperationsTimeout(shelfModel, history, 20*time.Second) {
		case porcupine.Illegal:
			t.Fatalf("seed %d: no order of these explains what was seen: %+v", seed, history)
		case porcupine.Unknown:
			t.Logf("seed %d: too many overlaps to decide in time", seed)
		}
	}
}

// record lets clients work on one item at once and writes down what each did, when, and what it learnt.
func record(t *testing.T, logs []*log.Log, sku string, seed uint64) []porcupine.Operation {
	t.Helper()
	var mu sync.Mutex
	var history []porcupine.Operation
	started := time.Now()
	var clients sync.WaitGroup
	for client := range shelfClients {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			for range shelfDeeds {
				d := someDeed(random)
				called := time.Since(started)
				got, err := d.do(t.Context(), logs[client%len(logs)], sku)
				if err != nil {
					t.Errorf("%+v: %v", d, err)
					return
				}
				done := porcupine.Operation{ClientId: client, Input: d, Output: got, Call: int64(called), Return: int64(time.Since(started))}
				mu.Lock()
				history = append(history, done)
				if got.refused {
					done.Input, done.Output = deed{units: d.units, short: true}, result{}
					history = append(history, done)
				}
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	return history
}

func someDeed(random *rand.Rand) deed {
	order := random.IntN(shelfOrders)
	d := deed{order: order, units: 1 + int64(order)%3}
	switch random.IntN(5) {
	case 0:
		return deed{units: 1 + random.Int64N(3)}
	case 1, 2:
		d.said = events.OrderPlaced{}
	case 3:
		d.said = events.OrderCancelled{}
	case 4:
		d.said = events.OrderConfirmed{}
	}
	return d
}
