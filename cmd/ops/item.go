package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/inventory"
)

// itemCommand is ops item.
type itemCommand struct {
	target.Target `embed:""`
	SKU           string   `arg:"" name:"sku" help:"SKU of the item."`
	Title         *string  `help:"New title." placeholder:"TEXT"`
	Description   *string  `help:"New description." placeholder:"TEXT"`
	Price         string   `help:"New price in the currency of the item, such as 8.50." placeholder:"AMOUNT"`
	Currency      string   `help:"Currency of the price; needed for a new item." placeholder:"CODE"`
	Image         *string  `help:"New picture: a path on the shop's site or an https address." placeholder:"ADDRESS"`
	Tag           []string `help:"New tags, in place of the old ones. May be repeated." placeholder:"TAG"`
	Reason        string   `help:"Why; needed for a change, and stored in the log." placeholder:"TEXT"`
	JSON          bool     `name:"json" help:"Write the item as JSON."`
}

// Help is shown by ops item --help.
func (itemCommand) Help() string {
	return `Without flags it shows the item as it is in the log. With flags it changes what they name, through the staff API; a SKU that has no item yet becomes one, which needs a title, a price and a currency. Stock is changed by ops adjust.

Examples:
  ops item MUG-1
  ops item MUG-1 --price 9.50 --reason "new price list"
  ops item MUG-2 --title "Blue Mug" --price 12.50 --currency GBP --reason new`
}

// changes reports whether the command line changes anything.
func (c *itemCommand) changes() bool {
	return c.Title != nil || c.Description != nil || c.Image != nil || c.Price+c.Currency != "" || len(c.Tag) > 0
}

// Validate is called by kong when the command line is read.
func (c *itemCommand) Validate() error {
	if c.changes() && strings.TrimSpace(c.Reason) == "" {
		return errors.New("--reason: say why the item is changed")
	}
	return events.CheckSKU(c.SKU)
}

// Run shows or changes one item.
func (c *itemCommand) Run(ctx context.Context, out *terminal) error {
	_, reader, stop, err := openShop(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	item, _, err := inventory.Items.Read(ctx, reader.Log(), c.SKU)
	if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
		return err
	}
	if !c.changes() {
		if !item.Exists() {
			return fmt.Errorf("no item has the SKU %s; ops stock lists all items", oneLine(c.SKU))
		}
		return c.answer(item, "", out)
	}
	listing, err := c.listing(item)
	if err != nil {
		return err
	}
	api, err := newStaffAPI(c.Target)
	if err != nil {
		return err
	}
	var done struct {
		Changed bool `json:"changed"`
	}
	if err := api.call(ctx, http.MethodPut, "/ops/api/items/"+url.PathEscape(c.SKU), listing, &done); err != nil {
		return err
	}
	if item, _, err = inventory.Items.Read(ctx, reader.Log(), c.SKU); err != nil {
		return err
	}
	result := "saved"
	if !done.Changed {
		result = "nothing was changed: the item has these values already"
	}
	return c.answer(item, result, out)
}

// listing is the item with what the flags change.
func (c *itemCommand) listing(item inventory.Item) (inventory.ListingBody, error) {
	body := inventory.ListingBody{Title: item.Title, Description: item.Description, Price: item.Price, Image: item.Image, Tags: item.Tags, Reason: c.Reason}
	for _, field := range []struct {
		to   *string
		from *string
	}{{&body.Title, c.Title}, {&body.Description, c.Description}, {&body.Image, c.Image}} {
		if field.from != nil {
			*field.to = *field.from
		}
	}
	if len(c.Tag) > 0 {
		body.Tags = c.Tag
	}
	if c.Currency != "" && c.Price == "" {
		return body, errors.New("--currency: give the price too")
	}
	if c.Price == "" {
		return body, nil
	}
	currency := strings.ToUpper(c.Currency)
	if currency == "" {
		currency = item.Price.Currency
	}
	if currency == "" {
		return body, errors.New("--price: a new item needs --currency")
	}
	price, err := events.ParseMoney(c.Price, currency)
	body.Price = price
	return body, err
}

func (c *itemCommand) answer(item inventory.Item, result string, out *terminal) error {
	return out.answer(c.JSON, events.ItemChanged(item), func() error {
		t := newTable("SKU", "PRICE>", "TAGS", "TITLE")
		t.cutLast = true
		t.add(cell{item.SKU, bold}, item.Price.String(), strings.Join(item.Tags, ", "), item.Title)
		err := t.write(out)
		if result != "" {
			err = errors.Join(err, out.printf("%s", result))
		}
		return err
	}, false)
}
