package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"tillstream/cmd/internal/target"
	"tillstream/orders"
)

// fulfilCommand is ops fulfil.
type fulfilCommand struct {
	target.Target `embed:""`
	Order         string   `arg:"" help:"Number of the order, which customers quote, or its id."`
	Lines         []string `name:"line" sep:"none" help:"SKU and number of units that are sent. Default: everything that is not sent yet." placeholder:"SKU=N"`
	Carrier       string   `help:"Who carries the parcel." placeholder:"NAME"`
	Tracking      string   `help:"Number of the parcel." placeholder:"NUMBER"`
	Final         bool     `help:"Nothing else will be sent: the other goods return to stock, and the shopper does not pay for them."`
	Key           string   `help:"Idempotency key. The same command with the same key records one parcel." placeholder:"TEXT"`
	JSON          bool     `name:"json" help:"Write the fulfilment as JSON."`
}

// Help is shown by ops fulfil --help.
func (fulfilCommand) Help() string {
	return `Records a parcel, through the staff API. With PAYMENTS_CAPTURE=fulfilment the shopper's card is charged for it. Nothing is sent of an order that is not confirmed or whose payment is disputed.

Examples:
  ops fulfil 4XRJK-QYW5E --carrier Post --tracking RR123456785GB
  ops fulfil 4XRJK-QYW5E --line MUG-HARBOUR=1 --final`
}

// request returns the body of the request.
func (c *fulfilCommand) request() (map[string]any, error) {
	body := map[string]any{"carrier": c.Carrier, "tracking": c.Tracking, "final": c.Final}
	var lines []map[string]any
	for _, line := range c.Lines {
		at := strings.LastIndex(line, "=")
		if at < 1 {
			return nil, fmt.Errorf("--line %q: want SKU=N", line)
		}
		units, err := strconv.ParseInt(line[at+1:], 10, 64)
		if err != nil || units < 1 {
			return nil, fmt.Errorf("--line %q: want SKU=N with N of 1 or more", line)
		}
		lines = append(lines, map[string]any{"sku": line[:at], "quantity": units})
	}
	if len(lines) > 0 {
		body["lines"] = lines
	}
	return body, nil
}

// Run records one parcel.
func (c *fulfilCommand) Run(ctx context.Context, out *terminal) error {
	body, err := c.request()
	if err != nil {
		return err
	}
	api, id, err := staffAPIOfOrder(ctx, c.Target, c.Order, out)
	if err != nil {
		return err
	}
	if c.Key == "" {
		c.Key = uuid.NewString()
	}
	var sent orders.Fulfilment
	if err := api.callWithKey(ctx, c.Key, http.MethodPost, "/ops/api/orders/"+url.PathEscape(id)+"/fulfilments", body, &sent); err != nil {
		return err
	}
	return out.answer(c.JSON, sent, func() error {
		return out.item(cell{sent.ID, bold}, fmt.Sprintf("parcel of order %s is recorded, with goods and delivery for %s; ops order %s shows what is captured", c.Order, sent.Amount, c.Order))
	}, false)
}
