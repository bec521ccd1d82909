package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/orders"
)

// refundCommand is ops refund.
type refundCommand struct {
	target.Target `embed:""`
	Order         string   `arg:"" help:"Number of the order, which customers quote, or its id."`
	All           bool     `help:"Refund everything that is left; units that are not sent go back to stock." xor:"what"`
	Again         string   `help:"Repeat a refund that failed." placeholder:"REFUND" xor:"what"`
	Amount        string   `help:"Refund this amount, such as 8.50, at least that of the lines and of the delivery." placeholder:"AMOUNT"`
	Line          []string `help:"Refund N units of a line, and return M of them to stock. May be repeated." placeholder:"SKU=N[:M]" sep:"none"`
	Delivery      bool     `help:"Refund what is left of the price of delivery."`
	Reason        string   `help:"Why. Required for a refund; it is stored in the log." placeholder:"TEXT"`
	Key           string   `help:"Idempotency-Key; the same key makes one refund. Default: a new one." placeholder:"TEXT"`
	JSON          bool     `name:"json" help:"Write the refund, or the list, as JSON."`
}

// Help is shown by ops refund --help.
func (refundCommand) Help() string {
	return `Refunds an order through the staff API, in full, in part or by line. Without an amount, lines or --all it lists the refunds of the order and what can still be refunded. Stripe makes the refund afterwards, and a bank can return the money days later: the list says how each refund ended.

Examples:
  ops refund 4XRJK-QYW5E
  ops refund 4XRJK-QYW5E --all --reason "cancelled on the telephone"
  ops refund 4XRJK-QYW5E --line MUG-1=2:1 --reason "one broken, one not sent"
  ops refund 4XRJK-QYW5E --amount 5.00 --reason "arrived late"
  ops refund 4XRJK-QYW5E --again 0b7c… --reason "the card had expired"`
}

// asks reports whether a refund is asked for, and not only the list.
func (c *refundCommand) asks() bool {
	return c.All || c.Again != "" || c.Amount != "" || len(c.Line) > 0 || c.Delivery
}

// Run lists the refunds of an order, or makes one.
func (c *refundCommand) Run(ctx context.Context, out *terminal) error {
	if c.asks() && c.Reason == "" {
		return errors.New("a refund needs --reason")
	}
	api, id, err := staffAPIOfOrder(ctx, c.Target, c.Order, out)
	if err != nil {
		return err
	}
	path := "/ops/api/orders/" + url.PathEscape(id) + "/refunds"
	var known orders.RefundsBody
	if err := api.call(ctx, http.MethodGet, path, nil, &known); err != nil {
		return err
	}
	if !c.asks() {
		return out.answer(c.JSON, known, func() error { return writeRefunds(known, out) }, false)
	}
	body, err := c.body(known)
	if err != nil {
		return err
	}
	if c.Key == "" {
		c.Key = uuid.NewString()
	}
	var made orders.RefundBody
	if err := api.callWithKey(ctx, c.Key, http.MethodPost, path, body, &made); err != nil {
		return err
	}
	return out.answer(c.JSON, made, func() error {
		return out.item(cell{made.ID, bold}, fmt.Sprintf("refund of %s for order %s is requested; ops refund %s shows how it ends", made.Amount, known.Number, known.Number))
	}, false)
}

// body returns the request.
func (c *refundCommand) body(known orders.RefundsBody) (body orders.RefundRequestBody, err error) {
	body = orders.RefundRequestBody{Refundable: known.Refundable, Full: c.All, Replaces: c.Again, Reason: c.Reason}
	if c.Amount != "" {
		amount, err := events.ParseMoney(c.Amount, known.Refundable.Currency)
		if err != nil {
			return body, fmt.Errorf("--amount: %w", err)
		}
		body.Amount = &amount
	}
	if c.Delivery {
		body.Shipping = &known.RefundableShipping
	}
	for _, text := range c.Line {
		line, err := parseRefundLine(text)
		if err != nil {
			return body, err
		}
		body.Lines = append(body.Lines, line)
	}
	return body, nil
}

// parseRefundLine parses SKU=N or SKU=N:M. A SKU may have any of these characters, so the last ones count.
func parseRefundLine(text string) (line orders.RefundLineRequest, err error) {
	at := strings.LastIndex(text, "=")
	if at < 1 {
		return line, fmt.Errorf("--line %s: want SKU=UNITS or SKU=UNITS:RESTOCK", text)
	}
	units, restock, restocks := strings.Cut(text[at+1:], ":")
	line.SKU = text[:at]
	if line.Quantity, err = strconv.ParseInt(units, 10, 64); err == nil && restocks {
		line.Restock, err = strconv.ParseInt(restock, 10, 64)
	}
	if err != nil {
		return line, fmt.Errorf("--line %s: %w", text, err)
	}
	return line, nil
}

func writeRefunds(b orders.RefundsBody, out *terminal) error {
	if b.Blocked != "" {
		return errors.Join(out.item(cell{b.Number, bold}, fmt.Sprintf("%s captured, %s refunded", b.Captured, b.Refunded)), out.say("nothing can be refunded: %s", b.Blocked), writeRefundList(b, out))
	}
	problems := []error{out.item(cell{b.Number, bold}, fmt.Sprintf("%s captured, %s refunded, %s can be refunded", b.Captured, b.Refunded, b.Refundable))}
	for _, l := range b.Lines {
		problems = append(problems, out.item(cell{l.SKU, bold}, fmt.Sprintf("%d can be refunded at %s, %d of them back to stock", l.Quantity, l.UnitPrice, l.Restock)))
	}
	return errors.Join(append(problems, writeRefundList(b, out))...)
}

func writeRefundList(b orders.RefundsBody, out *terminal) error {
	if len(b.Refunds) == 0 {
		return nil
	}
	t := newTable("REFUND", "STATE", "AMOUNT>", "BY", "WHY")
	for _, r := range b.Refunds {
		why := r.Reason
		if r.State == orders.RefundFailed {
			why = "failed: " + r.Failure
		}
		t.add(cell{r.ID, bold}, string(r.State), r.Amount.String(), r.RequestedBy, why)
	}
	return t.write(out)
}
