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

// Books are the orders of a run as its shoppers were told of them: what the sums are taken over.
type Books struct {
	lines    map[string]int // of each order, by id
	expected events.Money   // all totals told
	goods    events.Money   // all that is neither shipping nor tax
	err      error
}

// Observe is an observer of a [Run].
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

// Evidence is where the sums are taken from.
type Evidence struct {
	File     io.Reader
	Shop     *Shop
	Prices   map[string]events.Money // of the catalogue
	Database *mongo.Database
	Log      *replay.Reader
	LogFrom  uint64          // last sequence of the log before the run
	Since    time.Time       // when the run began
	Patience time.Duration   // how long projections and ledger may be behind
	Dates    seed.DateFormat // of the file
	Told     Told            // default: not told
}

// Sums takes the sums of a run from four sides. The first is the file's; the shipping that shoppers were told is added to
// it, so that revenue can be compared with those who know it and goods with those who know them.
func (b *Books) Sums(ctx context.Context, e Evidence) ([]Sum, error) {
	if b.err != nil {
		return nil, fmt.Errorf("sum the orders' totals: %w", b.err)
	}
	if e.Told == nil {
		e.Told = func(string, int, int) {}
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
	orders, err := SumOrders(ctx, e.Database, ids, e.Told)
	if err != nil {
		return nil, err
	}
	payments, err := e.Shop.SumPayments(context.WithoutCancel(ctx), ids, e.Since, e.Told)
	if err != nil {
		return nil, err
	}
	stock, err := SumLedger(ctx, e.Log, e.LogFrom, b.lines, e.Prices, e.Told)
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
		return goods, fmt.Errorf("add shipping to the file's goods: %w", err)
	}
	return goods, nil
}

// WriteSums writes the sums as a table, with what they differ in. Sums of nothing agree on nothing.
func WriteSums(w io.Writer, sums []Sum, differences []Difference) error {
	p := printer{w: w}
	p.line("%-26s %8s %10s %6s %18s %18s", "", "orders", "units", "SKUs", "goods", "revenue")
	for _, s := range sums {
		units, skus := "-", "-"
		if s.Units != nil {
			units, skus = fmt.Sprint(s.TotalUnits()), fmt.Sprint(len(s.Units))
		}
		p.line("%-26s %8d %10s %6s %18s %18s", s.Source, s.Orders, units, skus, shown(s.Goods), shown(s.Revenue))
	}
	switch {
	case NothingSold(sums):
		p.line("nothing was bought, so there is nothing to compare")
	case len(differences) == 0:
		p.line("all agree, also on the units of each SKU")
	}
	for i, d := range differences {
		if i == mostDetails {
			p.line("  and %d more", len(differences)-i)
			break
		}
		p.line("  DIFFERENT: %s says %s %s, the %s says %s", d.Source, d.Says, d.Figure, sums[0].Source, d.Want)
	}
	return p.err
}

func shown(m events.Money) string {
	if m.Currency == "" {
		return "-"
	}
	return m.String()
}
