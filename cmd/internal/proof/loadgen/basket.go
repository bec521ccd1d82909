package loadgen

import (
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Line is a quantity of one SKU.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Basket is the purchase that one shopper intends.
type Basket struct {
	Key     string // Idempotency-Key of 16 characters or more; the same for every attempt, different in every run
	Email   string
	Name    string
	Locale  string
	Country string // ISO 3166-1 alpha-2
	Lines   []Line // one per SKU
	Habit   Habit
	Staff   bool // staff place the order for the customer, if the ops token is known; it then has no shopper's limits
}

func (b Basket) has(sku string) bool {
	return slices.ContainsFunc(b.Lines, func(line Line) bool { return line.SKU == sku })
}

// Source returns baskets until there are none left. Next is never called concurrently.
type Source interface {
	Next() (Basket, bool)
}

// Demand sums the units per SKU of all baskets of a source. It consumes the source.
func Demand(source Source) map[string]int64 {
	demand := map[string]int64{}
	for basket, ok := source.Next(); ok; basket, ok = source.Next() {
		for _, line := range basket.Lines {
			demand[line.SKU] += line.Quantity
		}
	}
	return demand
}

// NewRunID returns a random name for a run, which makes its idempotency keys unique.
func NewRunID() string { return crand.Text()[:16] }

// Habit is how a shopper carries out a purchase.
type Habit string

// The habits.
const (
	Regular           Habit = ""                    // places the order, pays and waits
	DeclinedFirst     Habit = "declined_first"      // pays with a card that is declined, then with one that is accepted
	SendsTwice        Habit = "sends_twice"         // sends the order again after the answer, under the same Idempotency-Key
	DoubleClicks      Habit = "double_clicks"       // sends the order several times at once, under the same Idempotency-Key
	CancelsAtOnce     Habit = "cancels_at_once"     // cancels the order as soon as it is placed
	CancelsAtCheckout Habit = "cancels_at_checkout" // cancels the order when it can be paid
	Authenticates     Habit = "authenticates"       // pays with a card whose bank requires 3-D Secure
	FailsAtBank       Habit = "fails_at_bank"       // fails at 3-D Secure, then pays with another card
	LeavesAtBank      Habit = "leaves_at_bank"      // does not come back from 3-D Secure
	LeavesAtCheckout  Habit = "leaves_at_checkout"  // does not pay
	Returns           Habit = "returns"             // pays, and gets half of the money back: staff refund it in Stripe's dashboard
)

// OrderHabits are about placing, paying and cancelling an order.
func OrderHabits() []Habit {
	return []Habit{DeclinedFirst, SendsTwice, DoubleClicks, CancelsAtOnce, CancelsAtCheckout}
}

// PaymentHabits are about paying.
func PaymentHabits() []Habit {
	return []Habit{DeclinedFirst, Authenticates, FailsAtBank, LeavesAtBank, LeavesAtCheckout, CancelsAtCheckout, Returns}
}

func (h Habit) cancels() bool { return h == CancelsAtOnce || h == CancelsAtCheckout }

// ErrEmptyShop is returned when the shop lists no items.
var ErrEmptyShop = errors.New("the shop has no items")

// Generation describes generated baskets.
type Generation struct {
	RunID  string
	Orders int
	Lines  int // per order; at most one per item of the shop
	Seed   uint64
	Habits []Habit // half of the shoppers have one of these, at random; default: all are Regular
}

// Generator is a [Source] of random baskets. The same Generation and the same items give the same baskets.
type Generator struct {
	Generation
	items  []Item
	random *rand.Rand
	made   int
}

// NewGenerator returns [ErrEmptyShop] when there are no items.
func NewGenerator(g Generation, items []Item) (*Generator, error) {
	if len(items) == 0 {
		return nil, ErrEmptyShop
	}
	if g.Orders < 1 || g.Lines < 1 {
		return nil, fmt.Errorf("generate baskets: got %d orders of %d lines, want at least 1 of each", g.Orders, g.Lines)
	}
	g.Lines = min(g.Lines, len(items))
	return &Generator{Generation: g, items: items, random: rand.New(rand.NewPCG(g.Seed, 0))}, nil
}

// Next implements [Source].
func (g *Generator) Next() (Basket, bool) {
	if g.made == g.Orders {
		return Basket{}, false
	}
	g.made++
	basket := Basket{Key: fmt.Sprintf("%s-%d", g.RunID, g.made), Email: fmt.Sprintf("shopper-%d@example.com", g.made),
		Name: fmt.Sprintf("Shopper %d", g.made), Locale: "en", Country: "GB", Lines: make([]Line, 0, g.Lines)}
	if g.random.IntN(4) == 0 {
		basket.Locale, basket.Country = "de", "DE"
	}
	if len(g.Habits) > 0 && g.random.IntN(2) > 0 {
		basket.Habit = g.Habits[g.random.IntN(len(g.Habits))]
	}
	for len(basket.Lines) < g.Lines {
		if sku := g.items[g.random.IntN(len(g.items))].SKU; !basket.has(sku) {
			basket.Lines = append(basket.Lines, Line{SKU: sku, Quantity: 1 + g.random.Int64N(2)})
		}
	}
	return basket, true
}
