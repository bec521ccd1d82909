package loadgen

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/seed"
	"tillstream/events"
	"tillstream/events/replay"
)

// Books record the orders of a run as the shop answered them, for comparison with the projection, Stripe and the stock ledger.
type Books struct {
	lines    map[string]int // number of lines, by order id
	expected events.Money   // sum of all totals
	goods    events.Money   // sum of all subtotals: without shipping and tax
	err      error
}

// Observe records the order of one purchase; see [Run].
func (b *Books) Observe(p Purchase) {
	if p.Order.ID == "" || b.err != nil {
		return
	}
	if b.lines == nil {
		b.lines = map[string]int{}
	}
	b.lines[p.Order.ID] = len(p.Basket.Lines)
	if b.goods, b.err = total(b.goods, p.Order.Subtotal); b.err == nil {
		b.expected, b.err = total(b.expected, p.Order.Total)
	}
}

// Evidence is where the sums of a run are read from.
type Evidence struct {
	File     io.Reader
	Shop     *Shop
	Prices   map[string]events.Money // of the catalogue
	Database *mongo.Database
	Log      *replay.Reader
	LogFrom  uint64          // last sequence of the log before the run
	Since    time.Time       // when the run began
	Patience time.Duration   // how long to wait for projections and the stock ledger
	Dates    seed.DateFormat // of the file
	Progress ProgressFunc    // default: not called
}

// Sums sums the orders of a run from four sources: the file, the orders collection, Stripe, and the stock ledger. The file
// does not contain shipping, so the shipping that the shop charged is added to its revenue.
func (b *Books) Sums(ctx context.Context, e Evidence) ([]Sum, error) {
	if b.err != nil {
		return nil, fmt.Errorf("sum order totals: %w", b.err)
	}
	if e.Progress == nil {
		e.Progress = func(string, int, int) {}
	}
	ctx, cancel := context.WithTimeout(ctx, e.Patience)
	defer cancel()
	file, err := SumFile(e.File, e.Dates, e.Prices)
	if err != nil {
		return nil, err
	}
	if file.Revenue, err = b.withShipping(file.Goods); err != nil {
		return nil, err
	}
	ids := slices.Sorted(maps.Keys(b.lines))
	orders, err := SumOrders(ctx, e.Database, ids, e.Progress)
	if err != nil {
		return nil, err
	}
	payments, err := e.Shop.SumPayments(context.WithoutCancel(ctx), ids, e.Since, e.Progress)
	if err != nil {
		return nil, err
	}
	stock, err := SumLedger(ctx, e.Log, e.LogFrom, b.lines, e.Prices, e.Progress)
	if err != nil {
		return nil, err
	}
	return []Sum{file, orders, payments, stock}, nil
}

func (b *Books) withShipping(goods events.Money) (events.Money, error) {
	shipping, err := b.expected.Sub(b.goods)
	if err == nil {
		goods, err = total(shipping, goods)
	}
	if err != nil {
		return goods, fmt.Errorf("add shipping to the goods of the file: %w", err)
	}
	return goods, nil
}

// WriteSums writes the sums as a table, and their differences from the first one. Sums without any order do not count as agreement.
func WriteSums(w io.Writer, sums []Sum, differences []Difference) error {
	p := printer{w: w}
	p.line("%-24s %7s %9s %5s %15s %15s", "", "orders", "units", "SKUs", "goods", "revenue")
	for _, s := range sums {
		units, skus := "-", "-"
		if s.Units != nil {
			units, skus = fmt.Sprint(s.TotalUnits()), fmt.Sprint(len(s.Units))
		}
		p.line("%-24s %7d %9s %5s %15s %15s", s.Source, s.Orders, units, skus, moneyText(s.Goods), moneyText(s.Revenue))
	}
	switch {
	case NothingSold(sums):
		p.line("nothing was bought, so there is nothing to compare")
	case len(differences) == 0:
		p.line("all sources agree, also on the units of each SKU")
	}
	for i, d := range differences {
		if i == maxDetails {
			p.line("  and %d more", len(differences)-i)
			break
		}
		p.line("  DIFFERENT %s: %s has %s, want %s", d.Figure, d.Source, d.Got, d.Want)
	}
	return p.err
}

func moneyText(m events.Money) string {
	if m.Currency == "" {
		return "-"
	}
	return m.String()
}
