package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
	"tillstream/inventory"
)

// stockCommand is ops stock.
type stockCommand struct {
	target.Target `embed:""`
	SKU           string `arg:"" name:"sku" optional:"" help:"SKU whose ledger is shown. Without it the stock of all items is listed."`
	Q             string `help:"List only items with words that begin like these." placeholder:"TEXT"`
	Below         int64  `help:"List only items of which fewer than this can be ordered; 1 lists what is sold out." placeholder:"N"`
	Before        uint64 `help:"Show the movements before the one with this number." placeholder:"N"`
	Limit         int    `help:"Show at most this many movements or items." default:"20"`
	JSON          bool   `name:"json" help:"Write the result as JSON." xor:"format"`
	CSV           bool   `name:"csv" help:"Write the result as CSV, with ids in full." xor:"format"`
}

// Help is shown by ops stock --help.
func (stockCommand) Help() string {
	return `The ledger of a SKU has one movement per line, newest first, with the stock after it: HAND is held + available. CHANGE is of the units on hand when they were adjusted or sold, and of the available ones when they were held or released. It is read from the log.

The list of all items is read through the staff API.

Examples:
  ops stock MUG-1                 the newest movements of MUG-1
  ops stock MUG-1 --before 81     older ones
  ops stock --below 5             what runs out
  ops stock MUG-1 --limit 1000000 --csv > mug.csv`
}

// Validate is called by kong when the command line is read.
func (c *stockCommand) Validate() error {
	if c.Limit < 1 || c.Below < 0 {
		return fmt.Errorf("--limit %d --below %d: want a limit of 1 or more, and not fewer than 0", c.Limit, c.Below)
	}
	if c.SKU != "" && (c.Q != "" || c.Below > 0) {
		return errors.New("--q and --below are for the list of all items: leave the SKU out")
	}
	if c.SKU == "" && c.Before > 0 {
		return errors.New("--before is for the ledger of one SKU: name the SKU")
	}
	return nil
}

// Run shows the ledger of one SKU, or lists the stock of all.
func (c *stockCommand) Run(ctx context.Context, out *terminal) error {
	if c.SKU == "" {
		return c.list(ctx, out)
	}
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	ledger, err := reader.Ledger(ctx, c.SKU, c.Before, c.Limit)
	if err != nil {
		return err
	}
	if c.CSV {
		return out.csv([]string{"number", "time", "what", "change", "on_hand", "held", "available", "order", "reason", "by", "via", "sequence"}, movementCells(ledger))
	}
	return out.answer(c.JSON, ledger, func() error { return writeLedger(ledger, out) }, false)
}

func movementCells(ledger replay.Ledger) (rows [][]string) {
	for _, m := range ledger.Movements {
		rows = append(rows, []string{fmt.Sprint(m.Revision), m.Time.UTC().Format(time.RFC3339Nano), m.What, fmt.Sprint(m.Change), fmt.Sprint(m.After.OnHand),
			fmt.Sprint(m.After.Held), fmt.Sprint(m.After.Available), m.OrderID, m.Reason, m.Actor, m.Via, fmt.Sprint(m.Sequence)})
	}
	return rows
}

func writeLedger(ledger replay.Ledger, out *terminal) error {
	t := newTable("WHEN", "WHAT", "CHANGE>", "HAND>", "HELD>", "AVAIL>", "WHY AND WHO")
	for _, m := range ledger.Movements {
		t.add(shortTime(m.Time, time.Now()), cell{m.What, movementStyle(m.What)}, fmt.Sprintf("%+d", m.Change), fmt.Sprint(m.After.OnHand),
			fmt.Sprint(m.After.Held), cell{fmt.Sprint(m.After.Available), levelStyle(m.After.Available)}, why(m))
	}
	if err := t.write(out); err != nil {
		return err
	}
	if ledger.Older > 0 {
		out.note("%s of %s; --before %d shows older ones", output.Count(len(ledger.Movements), "movement"), output.Number(ledger.Total), ledger.Older)
	}
	return nil
}

// why says for which order or why a movement was made, and by whom.
func why(m replay.Movement) string {
	switch {
	case m.OrderID != "":
		return "order " + middleCut(m.OrderID)
	case m.Reason != "" && m.Actor != "":
		return m.Reason + ", by " + m.Actor
	}
	return m.Reason + m.Actor
}

// middleCut leaves out the middle of an id that is longer than a column.
func middleCut(id string) string {
	if runes := []rune(id); len(runes) > 16 {
		return string(runes[:9]) + "…" + string(runes[len(runes)-6:])
	}
	return id
}

// shortTime is a time in 11 characters: without the year if that is the present one, else without the hour.
func shortTime(t, now time.Time) string {
	if t = t.Local(); t.Year() == now.Local().Year() {
		return t.Format("01-02 15:04")
	}
	return t.Format("2006-01-02")
}

func movementStyle(what string) style {
	switch what {
	case "adjusted", "returned":
		return bold
	case "sold":
		return green
	case "unreadable", "void":
		return red
	}
	return plain
}

func levelStyle(available int64) style {
	if available == 0 {
		return red
	}
	return plain
}

// list shows the stock of all items.
func (c *stockCommand) list(ctx context.Context, out *terminal) error {
	api, err := newStaffAPI(c.Target)
	if err != nil {
		return err
	}
	list := inventory.StockListBody{Items: []inventory.StockRow{}}
	for more := true; more && len(list.Items) < c.Limit; more = list.NextCursor != "" {
		query := url.Values{"limit": {strconv.Itoa(min(c.Limit-len(list.Items), inventory.MaxPage))}, "q": {c.Q}, "below": {strconv.FormatInt(c.Below, 10)}, "cursor": {list.NextCursor}}
		var page inventory.StockListBody
		if err := api.call(ctx, http.MethodGet, "/ops/api/stock?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		list.Items, list.Matching, list.NextCursor = append(list.Items, page.Items...), page.Matching, page.NextCursor
	}
	if c.CSV {
		return out.csv([]string{"sku", "title", "price", "on_hand", "held", "available"}, stockCells(list.Items))
	}
	return out.answer(c.JSON, list, func() error { return writeStock(list, out) }, false)
}

func stockCells(items []inventory.StockRow) (rows [][]string) {
	for _, i := range items {
		rows = append(rows, []string{i.SKU, i.Title, i.Price.String(), fmt.Sprint(i.OnHand), fmt.Sprint(i.Held), fmt.Sprint(i.Available)})
	}
	return rows
}

func writeStock(list inventory.StockListBody, out *terminal) error {
	if len(list.Items) == 0 {
		return out.printf("no items match")
	}
	t := newTable("SKU", "PRICE>", "HAND>", "HELD>", "AVAIL>", "TITLE")
	for _, i := range list.Items {
		t.add(cell{i.SKU, bold}, i.Price.String(), fmt.Sprint(i.OnHand), fmt.Sprint(i.Held), cell{fmt.Sprint(i.Available), levelStyle(i.Available)}, i.Title)
	}
	if err := t.write(out); err != nil {
		return err
	}
	if list.NextCursor != "" {
		out.note("%s of %s; --limit shows more", output.Count(len(list.Items), "item"), output.Number(list.Matching))
	}
	return nil
}

// csv writes rows for a spreadsheet, which must not take a cell for a formula.
func (t *terminal) csv(names []string, rows [][]string) error {
	w := csv.NewWriter(t.out)
	if err := w.Write(names); err != nil {
		return err
	}
	for _, row := range rows {
		for i, text := range row {
			if _, err := strconv.ParseInt(text, 10, 64); err != nil {
				row[i] = output.EscapeCell(oneLine(text))
			}
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
