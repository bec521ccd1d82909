package loadgen

import "math/rand/v2"

// Habit is how a shopper goes about a purchase. Not all of them are easy customers.
type Habit string

// The habits.
const (
	Straight         Habit = ""                // places, pays, waits
	DeclinedFirst    Habit = "declined_first"  // pays with a card that is declined, then with one that is not
	SendsTwice       Habit = "sends_twice"     // sends the order again after it was answered, under the same Idempotency-Key
	DoubleClicks     Habit = "double_clicks"   // sends the order several times at once, under the same Idempotency-Key
	CancelsAtOnce    Habit = "cancels_at_once" // cancels what was just placed
	CancelsAtTheTill Habit = "cancels_at_till" // cancels when asked for the money
)

// difficult are the habits of one shopper in two.
var difficult = []Habit{DeclinedFirst, SendsTwice, DoubleClicks, CancelsAtOnce, CancelsAtTheTill}

func (h Habit) cancels() bool { return h == CancelsAtOnce || h == CancelsAtTheTill }

// anyHabit takes one: half of all shoppers are straight.
func anyHabit(random *rand.Rand) Habit {
	if random.IntN(2) == 0 {
		return Straight
	}
	return difficult[random.IntN(len(difficult))]
}
