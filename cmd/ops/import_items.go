package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/seed"
	"tillstream/cmd/internal/target"
	"tillstream/inventory"
)

// importItems is ops import-items.
type importItems struct {
	target.Target `embed:""`
	File          string          `arg:"" help:"Sales ledger in the columns of the \"Online Retail\" data set." type:"existingfile"`
	Refused       string          `help:"Write every refused line to this CSV file: line, reason, detail, text." placeholder:"FILE" type:"path"`
	DateFormat    seed.DateFormat `help:"How the file writes its dates: iso (2010-12-31), d/m/y (31/12/2010) or m/d/y (12/31/2010), each with or without the time of day (default: iso and d/m/y are both read)." placeholder:"FORMAT"`
	Show          int             `help:"Print at most so many refused lines." default:"20"`
	KeepStock     bool            `help:"Leave the stock of items as it is; without, it is set to what the ledger says was sold."`
}

// Help is shown by ops import-items --help.
func (importItems) Help() string {
	return `Each stock code that is goods becomes one item: its newest description, its most common price, stock enough for all that the ledger sold. Lines that are not goods are refused and reported with their reasons; that is no error.

Dates are read as iso (2010-12-31) or d/m/y (31/12/2010). A file that has a date with a month over 12 is not imported, because its other dates may be wrong, too: --date-format says what it means, such as --date-format m/d/y.

Importing a file again changes nothing that is as the file says. Exit code 1 means that the shop itself refused items, 2 that nothing was imported, also because no line can be used. In the file of refused lines a text that a spreadsheet would take for a formula begins with a single quote.`
}

// importBatch is how many items the staff API takes at once.
const importBatch = 200

// imported is what became of the items.
type imported struct {
	changed, unchanged int
	refused            []refusedItem
}

// refusedItem is an item that the shop did not take.
type refusedItem struct {
	SKU     string `json:"sku"`
	Changed bool   `json:"changed"`
	Error   string `json:"error"`
}

// Run reads the file, lists its items and reports.
func (c *importItems) Run(ctx context.Context, out *terminal) error {
	err := output.Apart(output.File{Name: "--refused", Path: c.Refused}, output.File{Name: "the ledger", Path: c.File}, c.ReadyFile())
	if err != nil {
		return err
	}
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	api, err := newStaff(shop)
	if err != nil {
		return err
	}
	read, err := c.read(out)
	if err != nil {
		return err
	}
	// Before anything is listed: a file that cannot be written must not be noticed when half of it is done.
	if c.Refused != "" {
		if err := writeRefused(c.Refused, read.Refused); err != nil {
			return fmt.Errorf("--refused: %w; nothing was imported", err)
		}
	}
	if len(read.Items) == 0 {
		if err := c.reportLines(read.Refused, out); err != nil {
			return err
		}
		return fmt.Errorf("no line of %s can be used (%d read, %d refused); nothing was imported", c.File, read.Lines, len(read.Refused))
	}
	done, err := c.send(ctx, api, read.Items, out)
	if err != nil {
		return err
	}
	if err := c.report(read, done, out); err != nil {
		return err
	}
	if len(done.refused) > 0 {
		return errOff
	}
	return nil
}

func (c *importItems) read(out *terminal) (read seed.Result, err error) {
	file, err := os.Open(c.File)
	if err != nil {
		return read, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return read, err
	}
	defer out.clear()
	seen := seed.Watch(file, func(bytes int64) { out.bar("reading", uint64(bytes), uint64(info.Size())) })
	if read, err = seed.ReadCSV(seen, c.DateFormat); err != nil {
		return read, fmt.Errorf("read %s: %w; nothing was imported", c.File, err)
	}
	if c.KeepStock {
		for i := range read.Items {
			read.Items[i].OnHand, read.Items[i].Reason = nil, ""
		}
	}
	return read, nil
}

// send lists the items batch by batch. Interrupted, it can be started again: what is listed already does not change.
func (c *importItems) send(ctx context.Context, api *staff, items []inventory.Listing, out *terminal) (done imported, err error) {
	defer out.clear()
	sent := 0
	for batch := range slices.Chunk(items, importBatch) {
		var answer struct {
			Results []refusedItem `json:"results"`
		}
		out.bar("importing", uint64(sent), uint64(len(items)))
		if err := api.call(ctx, http.MethodPost, "/ops/api/items", map[string]any{"items": batch}, &answer); err != nil {
			return done, fmt.Errorf("after %d of %d items (start it again, nothing is listed twice): %w", sent, len(items), err)
		}
		if len(answer.Results) != len(batch) {
			return done, fmt.Errorf("the shop answered for %d of %d items", len(answer.Results), len(batch))
		}
		for _, r := range answer.Results {
			done.count(r)
		}
		sent += len(batch)
		if !out.live {
			out.note("imported %d of %d", sent, len(items))
		}
	}
	return done, nil
}

func (d *imported) count(r refusedItem) {
	switch {
	case r.Error != "":
		d.refused = append(d.refused, r)
	case r.Changed:
		d.changed++
	default:
		d.unchanged++
	}
}

func (c *importItems) report(read seed.Result, done imported, out *terminal) error {
	err := out.say("%s lines read, %s items: %s new or changed, %s as they were, %s refused by the shop; %s lines refused",
		count(uint64(read.Lines)), count(uint64(len(read.Items))), count(uint64(done.changed)), count(uint64(done.unchanged)),
		count(uint64(len(done.refused))), count(uint64(len(read.Refused))))
	if err != nil {
		return err
	}
	for _, r := range done.refused {
		if err := out.hang(out.paint(red, "refused")+" ", len("refused "), cell{text: oneLine(r.SKU + ": " + r.Error)}, false, below); err != nil {
			return err
		}
	}
	if err := c.reportLines(read.Refused, out); err != nil {
		return err
	}
	if c.Refused == "" {
		return nil
	}
	return out.printf("every refused line is in %s", c.Refused)
}

// reportLines counts refused lines by reason and prints the first of them.
func (c *importItems) reportLines(refused []seed.Refusal, out *terminal) error {
	if len(refused) == 0 {
		return nil
	}
	byReason := map[seed.Reason]int{}
	for _, r := range refused {
		byReason[r.Reason]++
	}
	reasons := make([]seed.Reason, 0, len(byReason))
	for reason := range byReason {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(a, b seed.Reason) int {
		return cmp.Or(cmp.Compare(byReason[b], byReason[a]), cmp.Compare(a, b))
	})
	summary := newTable("LINES>", "REASON")
	for _, reason := range reasons {
		summary.add(count(uint64(byReason[reason])), string(reason))
	}
	lines := newTable("LINE>", "REASON", "DETAIL", "TEXT")
	for _, r := range refused[:min(len(refused), max(c.Show, 0))] {
		lines.add(strconv.Itoa(r.Line), string(r.Reason), r.Detail, cell{r.Text, dim})
	}
	if err := errors.Join(summary.write(out), lines.write(out)); err != nil {
		return err
	}
	if rest := len(refused) - len(lines.rows); rest > 0 {
		return out.printf("… and %s more; --refused FILE writes them all", count(uint64(rest)))
	}
	return nil
}

// writeRefused writes every refused line, for a spreadsheet: what stands in a ledger came from strangers, and is written so
// that it is text there and no formula.
func writeRefused(path string, refused []seed.Refusal) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := csv.NewWriter(file)
	rows := [][]string{{"line", "reason", "detail", "text"}}
	for _, r := range refused {
		rows = append(rows, []string{strconv.Itoa(r.Line), string(r.Reason), output.Cell(r.Detail), output.Cell(r.Text)})
	}
	return w.WriteAll(rows)
}
