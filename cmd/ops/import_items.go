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

	"tillstream/cmd/internal/attach"
	"tillstream/cmd/internal/catalogue"
	"tillstream/inventory"
)

// importItems is ops import-items.
type importItems struct {
	attach.Target `embed:""`
	File          string `arg:"" help:"Sales ledger in the columns of the \"Online Retail\" data set." type:"existingfile"`
	Refused       string `help:"Write every refused line to this CSV file: line, reason, detail, text." placeholder:"FILE" type:"path"`
	Show          int    `help:"Print at most so many refused lines." default:"20"`
	KeepStock     bool   `help:"Leave the stock of items as it is; without, it is set to what the ledger says was sold."`
}

// Help is shown by ops import-items --help.
func (importItems) Help() string {
	return `Each stock code that is goods becomes one item: its newest description, its most common price, stock enough for all that the ledger sold. Lines that are not goods are refused and reported with their reasons; that is no error.

Importing a file again changes nothing that is as the file says. Exit code 1 means that the shop itself refused items.`
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
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	api, err := newStaff(shop)
	if err != nil {
		return err
	}
	read, err := c.read()
	if err != nil {
		return err
	}
	// Before anything is listed: a file that cannot be written must not be noticed when half of it is done.
	if c.Refused != "" {
		if err := writeRefused(c.Refused, read.Refused); err != nil {
			return fmt.Errorf("--refused: %w; nothing was imported", err)
		}
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

func (c *importItems) read() (read catalogue.Result, err error) {
	file, err := os.Open(c.File)
	if err != nil {
		return read, err
	}
	defer file.Close()
	if read, err = catalogue.ReadCSV(file); err != nil {
		return read, fmt.Errorf("read %s: %w", c.File, err)
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

func (c *importItems) report(read catalogue.Result, done imported, out *terminal) error {
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
func (c *importItems) reportLines(refused []catalogue.Refusal, out *terminal) error {
	if len(refused) == 0 {
		return nil
	}
	byReason := map[catalogue.Reason]int{}
	for _, r := range refused {
		byReason[r.Reason]++
	}
	reasons := make([]catalogue.Reason, 0, len(byReason))
	for reason := range byReason {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(a, b catalogue.Reason) int {
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

// writeRefused writes every refused line, for a spreadsheet.
func writeRefused(path string, refused []catalogue.Refusal) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := csv.NewWriter(file)
	rows := [][]string{{"line", "reason", "detail", "text"}}
	for _, r := range refused {
		rows = append(rows, []string{strconv.Itoa(r.Line), string(r.Reason), r.Detail, r.Text})
	}
	return w.WriteAll(rows)
}
