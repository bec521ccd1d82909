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
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/inventory"
)

const (
	modelOrders     = 8 // of one history
	modelClients    = 6
	modelOperations = 25 // of each client
)

// operation is one operation on the stock of one item.
type operation struct {
	event events.Payload // of the order; nil: units are received
	order int
	units int64
	short bool // no change: fewer units than these were available
}

// result is what the client of an operation observes. It has the level only when the operation moved units.
type result struct {
	state   inventory.State // of the reservation, afterwards
	refused bool            // by this operation
	moved   bool
	level   events.StockLevel
}

// modelStock is the sequential model of one item.
type modelStock struct {
	level  events.StockLevel
	orders [modelOrders]inventory.State
}

var stockModel = porcupine.Model{
	Init: func() any { return modelStock{} },
	Step: func(state, input, output any) (bool, any) {
		before, op, got := state.(modelStock), input.(operation), output.(result)
		if op.short {
			return before.level.Available < op.units, before
		}
		next, want := before.step(op, got.refused)
		return want == got, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// step applies an operation. A refusal is appended to the reservation and not to the stock, so the shortage was observed at
// another moment of the same attempt. In a history it is an operation of its own, short.
func (s modelStock) step(op operation, refused bool) (modelStock, result) {
	if op.event == nil {
		s.level.OnHand, s.level.Available = s.level.OnHand+op.units, s.level.Available+op.units
		return s, result{moved: true, level: s.level}
	}
	state, moved := &s.orders[op.order], false
	switch op.event.(type) {
	case events.OrderPlaced:
		switch {
		case *state != inventory.StateNone:
		case refused:
			*state = inventory.StateRefused
			return s, result{state: *state, refused: true}
		case s.level.Available < op.units: // must have been refused
			return s, result{state: inventory.StateRefused}
		default:
			*state, moved = inventory.StateHeld, true
			s.level.Available, s.level.Held = s.level.Available-op.units, s.level.Held+op.units
		}
	case events.OrderCancelled:
		switch *state {
		case inventory.StateNone:
			*state = inventory.StateReleased
		case inventory.StateHeld:
			*state, moved = inventory.StateReleased, true
			s.level.Available, s.level.Held = s.level.Available+op.units, s.level.Held-op.units
		}
	case events.OrderConfirmed:
		if *state == inventory.StateHeld {
			*state, moved = inventory.StateCommitted, true
			s.level.OnHand, s.level.Held = s.level.OnHand-op.units, s.level.Held-op.units
		}
	}
	if moved {
		return s, result{state: *state, moved: true, level: s.level}
	}
	return s, result{state: *state}
}

// do runs an operation on the log and returns what its client observes.
func (op operation) do(ctx context.Context, l *eventlog.Log, sku string) (result, error) {
	var got result
	if op.event == nil {
		err := l.Do(ctx, func(tx *eventlog.Tx) (err error) {
			if err := receiveIn(tx, sku, op.units); err != nil {
				return err
			}
			got, err = observe(tx, sku, "", true)
			return err
		})
		return got, err
	}
	id := fmt.Sprintf("%s_%d", sku, op.order)
	err := l.Do(ctx, func(tx *eventlog.Tx) error {
		before := tx.Len()
		refused := inventory.UpdateReservation(tx, id, op.event, lines(op.units, sku), inventory.HoldLimit{})
		if refused != nil && !errors.Is(refused, inventory.ErrCannotFollow) {
			return refused
		}
		var err error
		got, err = observe(tx, sku, id, tx.Len() > before+1) // a movement follows the event of the reservation
		got.refused = tx.Len() == before+1 && got.state == inventory.StateRefused
		return err
	})
	return got, err
}

func observe(tx *eventlog.Tx, sku, id string, moved bool) (result, error) {
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

// Holds, releases, commits and receipts of three processes at the same time have results that one sequence of them explains.
func TestStockIsLinearizable(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	logs := []*eventlog.Log{logtest.OpenOn(t, server), logtest.OpenOn(t, server), logtest.OpenOn(t, server)}
	for n := range rounds(t, 10) {
		seed := rand.Uint64()
		history := record(t, logs, fmt.Sprintf("shelf-%d", n), seed)
		switch porcupine.CheckOperationsTimeout(stockModel, history, 20*time.Second) {
		case porcupine.Illegal:
			t.Fatalf("seed %d: got results that no sequence explains: %+v", seed, history)
		case porcupine.Unknown:
			t.Logf("seed %d: not checked within 20 s", seed)
		}
	}
}

// record runs clients on one item at the same time and returns their operations with times and results.
func record(t *testing.T, logs []*eventlog.Log, sku string, seed uint64) []porcupine.Operation {
	t.Helper()
	var mu sync.Mutex
	var history []porcupine.Operation
	started := time.Now()
	var clients sync.WaitGroup
	for client := range modelClients {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			for range modelOperations {
				op := randomOperation(random)
				called := time.Since(started)
				got, err := op.do(t.Context(), logs[client%len(logs)], sku)
				if err != nil {
					t.Errorf("%+v: %v", op, err)
					return
				}
				done := porcupine.Operation{ClientId: client, Input: op, Output: got, Call: int64(called), Return: int64(time.Since(started))}
				mu.Lock()
				history = append(history, done)
				if got.refused {
					done.Input, done.Output = operation{units: op.units, short: true}, result{}
					history = append(history, done)
				}
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	return history
}

func randomOperation(random *rand.Rand) operation {
	order := random.IntN(modelOrders)
	op := operation{order: order, units: 1 + int64(order)%3}
	switch random.IntN(5) {
	case 0:
		return operation{units: 1 + random.Int64N(3)}
	case 1, 2:
		op.event = events.OrderPlaced{}
	case 3:
		op.event = events.OrderCancelled{}
	case 4:
		op.event = events.OrderConfirmed{}
	}
	return op
}
