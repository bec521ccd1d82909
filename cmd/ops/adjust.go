package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/inventory"
)

// adjustCommand is ops adjust.
type adjustCommand struct {
	target.Target `embed:""`
	SKU           string `arg:"" name:"sku" help:"SKU whose stock is corrected."`
	Count         *int64 `help:"Exactly this many are on hand, those held for orders included." placeholder:"N" xor:"change" required:""`
	Delta         *int64 `help:"Add this many; --delta=-2 takes two away." placeholder:"N" xor:"change" required:""`
	Reason        string `help:"Why, such as received, counted or damaged. Required; it is stored in the log." required:"" placeholder:"TEXT"`
	DryRun        bool   `help:"Say what would change, and change nothing."`
	JSON          bool   `name:"json" help:"Write the result as JSON."`
}

// Help is shown by ops adjust --help.
func (adjustCommand) Help() string {
	return `Corrects the number of units on hand through the staff API, which appends who did it and why. It is refused when fewer units would remain than are held for orders, and when the stock changes between reading it and correcting it.

Examples:
  ops adjust MUG-1 --delta 24 --reason "received, delivery 4711"
  ops adjust MUG-1 --count 15 --reason counted --dry-run`
}

// adjusted is the result of ops adjust.
type adjusted struct {
	SKU    string            `json:"sku"`
	Before events.StockLevel `json:"before"`
	After  events.StockLevel `json:"after"`
	DryRun bool              `json:"dry_run,omitempty"`
}

// Run corrects the stock of one SKU.
func (c *adjustCommand) Run(ctx context.Context, out *terminal) error {
	api, err := newStaffAPI(c.Target)
	if err != nil {
		return err
	}
	path := "/ops/api/stock/" + url.PathEscape(c.SKU)
	result := adjusted{SKU: c.SKU, DryRun: c.DryRun}
	if err := api.call(ctx, http.MethodGet, path, nil, &result.Before); err != nil {
		return err
	}
	change := inventory.Adjustment{Count: c.Count, Delta: c.Delta, Reason: c.Reason, ExpectOnHand: &result.Before.OnHand}
	if result.After, err = change.Preview(c.SKU, result.Before); err != nil {
		return err
	}
	if !c.DryRun {
		if err := api.call(ctx, http.MethodPost, path+"/adjustments", change, &result.After); err != nil {
			return err
		}
	}
	return out.answer(c.JSON, result, func() error { return c.write(result, out) }, false)
}

func (c *adjustCommand) write(r adjusted, out *terminal) error {
	done := ""
	if c.DryRun {
		done = " (not changed: --dry-run)"
	}
	return out.item(cell{r.SKU, bold}, fmt.Sprintf("on hand %s → %s, held %s, available %s → %s%s", output.Number(r.Before.OnHand), output.Number(r.After.OnHand),
		output.Number(r.After.Held), output.Number(r.Before.Available), output.Number(r.After.Available), done))
}
