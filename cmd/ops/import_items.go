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

// importItemsCommand is ops import-items.
type importItemsCommand struct {
	target.Target `embed:""`
	File          string          `arg:"" help:"Sales ledger with the columns of the \"Online Retail\" data set." type:"existingfile" predictor:"file"`
	Refused       string          `help:"Write every refused line to this CSV file, with the columns line, reason, detail and text." placeholder:"FILE" type:"path"`
	DateFormat    seed.DateFormat `help:"How the file writes its dates: iso (2010-12-31), d/m/y (31/12/2010) or m/d/y (12/31/2010), each with or without the time of day. Default: iso and d/m/y are both read." placeholder:"FORMAT"`
	Show          int             `help:"Print at most this many refused lines." default:"20"`
	KeepStock     bool            `help:"Keep the stock of items as it is. Without this flag it is set to the number of units that the ledger sold."`
	JSON          bool            `name:"json" help:"Write JSON: {lines, items, changed, unchanged, refused_items, refused_lines}."`
}

// Help is shown by ops import-items --help.
func (importItemsCommand) Help() string {
	return `Each stock code that stands for goods becomes one item, with its newest description, its most frequent price and enough stock for everything that the ledger sold. Lines that are not goods are refused and reported with a reason; this is not an error.

Dates are read as iso (2010-12-31) or d/m/y (31/12/2010). A file with a month over 12 is not imported, because its other dates may be misread too. Give the format by --date-format, such as --date-format m/d/y.

Importing a file again changes only what differs from the file. In the file of refused lines, text that a spreadsheet would take for a formula begins with a single quote.

Examples:
  ops import-items ledger.csv --refused refused.csv
  ops import-items ledger.csv --date-format m/d/y --keep-stock

Exit codes: 0 imported; 1 the shop refused some items; 2 nothing was imported, for example because every line was refused.`
}

// importBatch is the largest number of items in one request to the staff API.
const importBatch = 200

// imported is the result of importing items.
type imported struct {
	changed, unchanged int
	refused            []itemResult
}

// itemResult is the staff API's result for one item.
type itemResult struct {
	SKU     string `json:"sku"`
	Changed bool   `json:"changed"`
	Error   string `json:"error"`
}

// Run reads the file, imports its items and reports.
func (c *importItemsCommand) Run(ctx context.Context, out *terminal) error {
	err := output.CheckDistinct(output.File{Name: "--refused", Path: c.Refused}, output.File{Name: "the ledger", Path: c.File}, c.ReadyFile())
	if err != nil {
		return err
	}
	api, err := newStaffAPI(c.Target)
	if err != nil {
		return err
	}
	read, err := c.read(out)
	if err != nil {
		return err
	}
	// The refused lines are written first: if that fails, nothing has been imported yet.
	if c.Refused != "" {
		if err := writeRefused(c.Refused, read.Refused); err != nil {
			return fmt.Errorf("--refused: %w; nothing was imported", err)
		}
	}
	if len(read.Items) == 0 {
		if err := c.reportLines(read.Refused, out); err != nil {
			return err
		}
		return fmt.Errorf("no line of %s can be used (%s read, %s refused); nothing was imported", c.File,
			output.Count(read.Lines, "line"), output.Number(len(read.Refused)))
	}
	done, err := c.send(ctx, api, read.Items, out)
	if err != nil {
		return err
	}
	result := map[string]any{"lines": read.Lines, "items": len(read.Items), "changed": done.changed, "unchanged": done.unchanged,
		"refused_items": append([]itemResult{}, done.refused...), "refused_lines": refusedLines(read.Refused)}
	return out.answer(c.JSON, result, func() error { return c.report(read, done, out) }, len(done.refused) > 0)
}

// refusedLine is a refused line as --json writes it.
type refusedLine struct {
	Line   int         `json:"line"`
	Reason seed.Reason `json:"reason"`
	Detail string      `json:"detail"`
	Text   string      `json:"text"`
}

func refusedLines(refused []seed.Refusal) []refusedLine {
	lines := make([]refusedLine, len(refused))
	for i, r := range refused {
		lines[i] = refusedLine{Line: r.Line, Reason: r.Reason, Detail: r.Detail, Text: r.Text}
	}
	return lines
}

func (c *importItemsCommand) read(out *terminal) (read seed.Result, err error) {
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
	watched := seed.Watch(file, func(bytes int64) { out.bar("reading", uint64(bytes), uint64(info.Size())) })
	if read, err = seed.ReadCSV(watched, c.DateFormat); err != nil {
		return read, fmt.Errorf("read %s: %w; nothing was imported", c.File, err)
	}
	if c.KeepStock {
		for i := range read.Items {
			read.Items[i].OnHand, read.Items[i].Reason = nil, ""
		}
	}
	return read, nil
}

// send imports the items in batches. An interrupted import can be repeated: items that were imported do not change again.
func (c *importItemsCommand) send(ctx context.Context, api *staffAPI, items []inventory.Listing, out *terminal) (done imported, err error) {
	defer out.clear()
	sent := 0
	for batch := range slices.Chunk(items, importBatch) {
		var answer struct {
			Results []itemResult `json:"results"`
		}
		out.bar("importing", uint64(sent), uint64(len(items)))
		if err := api.call(ctx, http.MethodPost, "/ops/api/items", map[string]any{"items": batch}, &answer); err != nil {
			return done, fmt.Errorf("after %s of %s (run it again; nothing is imported twice): %w", output.Number(sent), output.Count(len(items), "item"), err)
		}
		if len(answer.Results) != len(batch) {
			return done, fmt.Errorf("the shop answered for %d of %s", len(answer.Results), output.Count(len(batch), "item"))
		}
		for _, r := range answer.Results {
			done.add(r)
		}
		sent += len(batch)
		if !out.live {
			out.note("imported %s of %s", output.Number(sent), output.Number(len(items)))
		}
	}
	return done, nil
}

func (d *imported) add(r itemResult) {
	switch {
	case r.Error != "":
		d.refused = append(d.refused, r)
	case r.Changed:
		d.changed++
	default:
		d.unchanged++
	}
}

func (c *importItemsCommand) report(read seed.Result, done imported, out *terminal) error {
	err := out.say("%s read, %s: %s new or changed, %s unchanged, %s refused by the shop; %s refused",
		output.Count(read.Lines, "line"), output.Count(len(read.Items), "item"), output.Number(done.changed), output.Number(done.unchanged),
		output.Number(len(done.refused)), output.Count(len(read.Refused), "line"))
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
func (c *importItemsCommand) reportLines(refused []seed.Refusal, out *terminal) error {
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
		summary.add(output.Number(byReason[reason]), string(reason))
	}
	lines := newTable("LINE>", "REASON", "DETAIL", "TEXT")
	for _, r := range refused[:min(len(refused), max(c.Show, 0))] {
		lines.add(strconv.Itoa(r.Line), string(r.Reason), r.Detail, cell{r.Text, dim})
	}
	if err := errors.Join(summary.write(out), lines.write(out)); err != nil {
		return err
	}
	if rest := len(refused) - len(lines.rows); rest > 0 {
		return out.printf("and %s; --refused FILE writes every one", output.Count(rest, "more line"))
	}
	return nil
}

// writeRefused writes refused lines to a CSV file. Their text comes from outside and is escaped, because a spreadsheet
// would evaluate it as formulas.
func writeRefused(path string, refused []seed.Refusal) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := csv.NewWriter(file)
	rows := [][]string{{"line", "reason", "detail", "text"}}
	for _, r := range refused {
		rows = append(rows, []string{strconv.Itoa(r.Line), string(r.Reason), output.EscapeCell(r.Detail), output.EscapeCell(r.Text)})
	}
	return w.WriteAll(rows)
}
