package main

import (
	"context"
	"net/http"
	"net/url"

	"tillstream/cmd/internal/target"
)

// cancelCommand is ops cancel.
type cancelCommand struct {
	target.Target `embed:""`
	Order         string `arg:"" help:"Number of the order, which customers quote, or its id."`
	Reason        string `help:"Why. Required; it is stored in the log." required:"" placeholder:"TEXT"`
	JSON          bool   `name:"json" help:"Write the order as JSON."`
}

// Help is shown by ops cancel --help.
func (cancelCommand) Help() string {
	return `Cancels an order that is not paid yet, through the staff API: the stock that is held for it is released, its payment is cancelled, and the customer gets a mail. An order that is being paid or is paid is refused.

Examples:
  ops cancel 4XRJK-QYW5E --reason "the customer has asked on the telephone"`
}

// Run cancels one order.
func (c *cancelCommand) Run(ctx context.Context, out *terminal) error {
	api, id, err := staffAPIOfOrder(ctx, c.Target, c.Order, out)
	if err != nil {
		return err
	}
	var order map[string]any
	if err := api.call(ctx, http.MethodPost, "/ops/api/orders/"+url.PathEscape(id)+"/cancel", map[string]string{"reason": c.Reason}, &order); err != nil {
		return err
	}
	return out.answer(c.JSON, order, func() error { return out.printf("order %v is cancelled; its stock is released", order["number"]) }, false)
}
