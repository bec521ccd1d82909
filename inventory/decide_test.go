package inventory

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// everyState has every state of a reservation, late ones included.
var everyState = []Reservation{
	{}, {State: StateHeld}, {State: StateHeld, Late: true}, {State: StateRefused}, {State: StateRefused, Late: true},
	{State: StateReleased}, {State: StateReleased, Late: true}, {State: StateCommitted}, {State: StateCommitted, Late: true},
}

const impossible = Action(-1)

func TestNextReturnsTheActionOfEveryEventInEveryState(t *testing.T) {
	// In the order of everyState: none, held, held late, refused, refused late, released, released late, committed, committed late.
	table := []struct {
		event events.Payload
		want  [9]Action
	}{
		{events.OrderPlaced{}, [9]Action{Hold}},
		{events.OrderPaidLate{}, [9]Action{HoldAgain, Affirm, Nothing, HoldAgain, Nothing, HoldAgain}},
		{events.OrderConfirmed{}, [9]Action{impossible, Commit, Commit, impossible, impossible, impossible, impossible, Nothing, Nothing}},
		{events.OrderExpired{}, [9]Action{Close, Release}},
		{events.OrderCancelled{}, [9]Action{Close, Release, Release}},
		{events.OrderRejected{}, [9]Action{Close, Release, Release}},
		{events.OrderAwaitingPayment{}, [9]Action{}},
		{events.OrderPaymentAccepted{}, [9]Action{}},
		{events.OrderRefunded{}, [9]Action{}},
	}
	for _, row := range table {
		for i, r := range everyState {
			t.Run(fmt.Sprintf("%s/%s late %t", row.event.EventType(), r.State, r.Late), func(t *testing.T) {
				got, err := Next(r, row.event)
				if row.want[i] == impossible {
					if !errors.Is(err, ErrCannotFollow) {
						t.Fatalf("Next = %v, %v; want ErrCannotFollow", got, err)
					}
					return
				}
				if err != nil || got != row.want[i] {
					t.Fatalf("Next = %v, %v; want %v", got, err, row.want[i])
				}
			})
		}
	}
}

func TestDemandSumsPerSKU(t *testing.T) {
	got, err := Demand([]events.OrderLine{{SKU: "B", Quantity: 2}, {SKU: "A", Quantity: 1}, {SKU: "B", Quantity: 3}})
	want := []events.ReservedLine{{SKU: "A", Quantity: 1}, {SKU: "B", Quantity: 5}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatal(err, diff)
	}
}

func TestDemandRefusesInvalidQuantities(t *testing.T) {
	for name, lines := range map[string][]events.OrderLine{
		"none":         nil,
		"zero":         {{SKU: "A", Quantity: 0}},
		"negative":     {{SKU: "A", Quantity: -1}},
		"too many":     {{SKU: "A", Quantity: MaxQuantity + 1}},
		"int64":        {{SKU: "A", Quantity: math.MaxInt64}, {SKU: "A", Quantity: math.MaxInt64}},
		"sum too many": {{SKU: "A", Quantity: MaxQuantity}, {SKU: "A", Quantity: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Demand(lines); !errors.Is(err, ErrBadDemand) {
				t.Fatalf("Demand = %v, %v; want ErrBadDemand", got, err)
			}
		})
	}
}

func level(onHand, held int64) events.StockLevel {
	return events.StockLevel{OnHand: onHand, Available: onHand - held, Held: held}
}

func movement(sku string, quantity int64, after events.StockLevel) events.StockMovement {
	return events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: quantity, OrderID: "o1", After: after}
}

func TestDecideReturnsTheEventsOfEveryAction(t *testing.T) {
	lines := []events.ReservedLine{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 5}}
	held := events.ReservationHeld{OrderID: "o1", Lines: lines}
	released := events.ReservationReleased{OrderID: "o1"}
	table := map[string]struct {
		reservation Reservation
		action      Action
		levels      map[string]events.StockLevel
		want        Decision
	}{
		"hold takes the last unit": {action: Hold, levels: map[string]events.StockLevel{"A": level(3, 1), "B": level(9, 0)},
			want: Decision{Reservation: []events.Payload{held}, Stock: []Entry{
				{"A", events.StockHeld{StockMovement: movement("A", 2, level(3, 3))}}, {"B", events.StockHeld{StockMovement: movement("B", 5, level(9, 5))}}}}},
		"hold names every short line and holds none": {action: Hold, levels: map[string]events.StockLevel{"A": level(3, 2)},
			want: Decision{Reservation: []events.Payload{events.ReservationRefused{OrderID: "o1",
				Short: []events.Shortage{{SKU: "A", Requested: 2, Available: 1}, {SKU: "B", Requested: 5}}}}}},
		"hold names only what is short": {action: Hold, levels: map[string]events.StockLevel{"A": level(2, 0), "B": level(4, 0)},
			want: Decision{Reservation: []events.Payload{events.ReservationRefused{OrderID: "o1", Short: []events.Shortage{{SKU: "B", Requested: 5, Available: 4}}}}}},
		"hold again after release": {reservation: Reservation{State: StateReleased}, action: HoldAgain,
			levels: map[string]events.StockLevel{"A": level(2, 0), "B": level(5, 0)},
			want: Decision{Reservation: []events.Payload{held}, Stock: []Entry{
				{"A", events.StockHeld{StockMovement: movement("A", 2, level(2, 2))}}, {"B", events.StockHeld{StockMovement: movement("B", 5, level(5, 5))}}}}},
		"hold again, not placed yet": {action: HoldAgain,
			want: Decision{Reservation: []events.Payload{released, events.ReservationRefused{OrderID: "o1",
				Short: []events.Shortage{{SKU: "A", Requested: 2}, {SKU: "B", Requested: 5}}}}}},
		"release": {reservation: Reservation{State: StateHeld, Lines: lines}, action: Release,
			levels: map[string]events.StockLevel{"A": level(3, 3), "B": level(5, 5)},
			want: Decision{Reservation: []events.Payload{released}, Stock: []Entry{
				{"A", events.StockReleased{StockMovement: movement("A", 2, level(3, 1))}}, {"B", events.StockReleased{StockMovement: movement("B", 5, level(5, 0))}}}}},
		"commit": {reservation: Reservation{State: StateHeld, Lines: lines}, action: Commit,
			levels: map[string]events.StockLevel{"A": level(3, 3), "B": level(5, 5)},
			want: Decision{Reservation: []events.Payload{events.ReservationCommitted{OrderID: "o1"}}, Stock: []Entry{
				{"A", events.StockCommitted{StockMovement: movement("A", 2, level(1, 1))}}, {"B", events.StockCommitted{StockMovement: movement("B", 5, level(0, 0))}}}}},
		"affirm moves nothing": {reservation: Reservation{State: StateHeld, Lines: lines}, action: Affirm, want: Decision{Reservation: []events.Payload{held}}},
		"close":                {action: Close, want: Decision{Reservation: []events.Payload{released}}},
		"nothing":              {reservation: Reservation{State: StateHeld}, action: Nothing},
	}
	for name, row := range table {
		t.Run(name, func(t *testing.T) {
			got, err := Decide(row.reservation, row.action, "o1", lines, row.levels, HoldLimit{})
			if diff := cmp.Diff(row.want, got); diff != "" || err != nil {
				t.Fatal(err, diff)
			}
		})
	}
}

func TestDecideRefusesToReleaseMoreThanIsHeld(t *testing.T) {
	lines := []events.ReservedLine{{SKU: "A", Quantity: 2}}
	for _, action := range []Action{Release, Commit} {
		_, err := Decide(Reservation{State: StateHeld, Lines: lines}, action, "o1", lines, map[string]events.StockLevel{"A": level(9, 1)}, HoldLimit{})
		if !errors.Is(err, ErrOutOfRange) {
			t.Fatalf("action %d: %v, want ErrOutOfRange", action, err)
		}
	}
}

func TestAdjustmentsKeepTheLevelInRange(t *testing.T) {
	table := map[string]struct {
		level events.StockLevel
		count *int64
		delta int64
		after events.StockLevel
		err   error
	}{
		"received":               {level: level(3, 1), delta: 4, after: level(7, 1)},
		"damaged":                {level: level(3, 1), delta: -2, after: level(1, 1)},
		"below held":             {level: level(3, 1), delta: -3, err: ErrBelowHeld},
		"below zero":             {level: level(3, 0), delta: -4, err: ErrOutOfRange},
		"most":                   {level: level(1, 0), delta: MaxQuantity - 1, after: level(MaxQuantity, 0)},
		"more than most":         {level: level(2, 0), delta: MaxQuantity - 1, err: ErrOutOfRange},
		"smallest int64":         {level: level(2, 0), delta: math.MinInt64, err: ErrOutOfRange},
		"largest int64":          {level: level(2, 0), delta: math.MaxInt64, err: ErrOutOfRange},
		"counted more":           {level: level(3, 1), count: new(int64(5)), after: level(5, 1)},
		"counted only held":      {level: level(3, 1), count: new(int64(1)), after: level(1, 1)},
		"counted less than held": {level: level(3, 2), count: new(int64(1)), err: ErrBelowHeld},
		"counted negative":       {level: level(3, 2), count: new(int64(-1)), err: ErrOutOfRange},
		"counted too many":       {level: level(3, 2), count: new(int64(math.MaxInt64)), err: ErrOutOfRange},
	}
	for name, row := range table {
		t.Run(name, func(t *testing.T) {
			a := Adjustment{Delta: &row.delta, Count: row.count, Reason: "because"}
			facts, err := a.decide("A", row.level)
			if !errors.Is(err, row.err) {
				t.Fatalf("err = %v, want %v", err, row.err)
			}
			if row.err != nil {
				return
			}
			want := []events.Payload{events.StockAdjusted{Reason: "because",
				StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "A", Quantity: row.after.OnHand - row.level.OnHand, After: row.after}}}
			if diff := cmp.Diff(want, facts); diff != "" {
				t.Fatal(diff)
			}
			if err := checkLedger(row.level, facts[0]); err != nil {
				t.Fatal(err)
			}
		})
	}
	if facts, err := SetCount("A", level(3, 1), 3, "counted"); len(facts) != 0 || err != nil {
		t.Fatalf("count equal to the level: %v, %v; want no events", facts, err)
	}
}

func TestPutItemAppendsOnlyChanges(t *testing.T) {
	l := Listing{SKU: "A", Title: "A mug", Price: events.Money{Amount: 900, Currency: "GBP"}, Tags: []string{"kitchen"}}
	facts := PutItem(Item{}, l)
	want := []events.Payload{events.ItemChanged{SKU: "A", Title: "A mug", Price: l.Price, Image: "/images/items/A.svg", Tags: l.Tags}}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Fatal(diff)
	}
	item := Item(facts[0].(events.ItemChanged))
	if facts := PutItem(item, l); len(facts) != 0 {
		t.Fatalf("the same listing again decides %v, want no events", facts)
	}
	for name, change := range map[string]func(*Listing){
		"title": func(l *Listing) { l.Title = "Mug" }, "description": func(l *Listing) { l.Description = "Round." },
		"amount": func(l *Listing) { l.Price.Amount++ }, "currency": func(l *Listing) { l.Price.Currency = "EUR" },
		"image": func(l *Listing) { l.Image = "/mug.png" }, "tags": func(l *Listing) { l.Tags = []string{"gift"} },
	} {
		t.Run(name, func(t *testing.T) {
			changed := l
			change(&changed)
			if facts := PutItem(item, changed); len(facts) != 1 {
				t.Fatalf("decides %v, want one event", facts)
			}
		})
	}
}

// Row 72 of the fault matrix: one unpaid order cannot hold all of what is available, except the last units. After a late payment
// there is no limit.
func TestAnUnpaidOrderHoldsAPartOfWhatIsAvailable(t *testing.T) {
	limit := HoldLimit{Percent: 50, Always: 20}
	for name, row := range map[string]struct {
		limit            HoldLimit
		available, wants int64
		short            []events.Shortage
	}{
		"half":                   {limit, 100, 50, nil},
		"one more than half":     {limit, 100, 51, []events.Shortage{{SKU: "A", Requested: 51, Available: 50, Limited: true}}},
		"everything":             {limit, 100, 100, []events.Shortage{{SKU: "A", Requested: 100, Available: 50, Limited: true}}},
		"more than everything":   {limit, 100, 101, []events.Shortage{{SKU: "A", Requested: 101, Available: 50, Limited: true}}},
		"the last twenty":        {limit, 20, 20, nil},
		"twenty of thirty":       {limit, 30, 20, nil},
		"the last unit":          {limit, 1, 1, nil},
		"two where there is one": {limit, 1, 2, []events.Shortage{{SKU: "A", Requested: 2, Available: 1}}},
		"sold out":               {limit, 0, 1, []events.Shortage{{SKU: "A", Requested: 1}}},
		"no limit":               {HoldLimit{}, MaxQuantity, MaxQuantity, nil},
		"the largest stock":      {limit, MaxQuantity, MaxQuantity / 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			lines := []events.ReservedLine{{SKU: "A", Quantity: row.wants}}
			levels := map[string]events.StockLevel{"A": level(row.available, 0)}
			d, err := Decide(Reservation{}, Hold, "o1", lines, levels, row.limit)
			var short []events.Shortage
			if refused, ok := d.Reservation[0].(events.ReservationRefused); ok {
				short = refused.Short
			}
			if diff := cmp.Diff(row.short, short); diff != "" || err != nil {
				t.Fatal(err, diff)
			}
			if d, _ := Decide(Reservation{State: StateReleased}, HoldAgain, "o1", lines, levels, row.limit); row.wants <= row.available && len(d.Stock) != 1 {
				t.Errorf("after a late payment: got %+v, want everything held", d)
			}
		})
	}
}
