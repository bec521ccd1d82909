package loadgen

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// ErrEmptyShop is returned when there is nothing to buy.
var ErrEmptyShop = errors.New("the shop has no items")

// Generation says what made-up baskets look like.
type Generation struct {
	RunID  string
	Orders int
	Lines  int // per order; fewer when the shop has not so many items
	Seed   uint64
	Habits bool // shoppers have habits; default: all are straight
}

// Generator makes baskets up. The same generation over the same items gives the same baskets.
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
		return nil, fmt.Errorf("%d orders of %d lines: want at least 1 of each", g.Orders, g.Lines)
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
	if g.Habits {
		basket.Habit = anyHabit(g.random)
	}
	for len(basket.Lines) < g.Lines {
		if sku := g.items[g.random.IntN(len(g.items))].SKU; !basket.has(sku) {
			basket.Lines = append(basket.Lines, Line{SKU: sku, Quantity: 1 + g.random.Int64N(2)})
		}
	}
	return basket, true
}

func (b Basket) has(sku string) bool {
	for _, line := range b.Lines {
		if line.SKU == sku {
			return true
		}
	}
	return false
}
