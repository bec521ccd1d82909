package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/payments"
)

// paymentsCommand is ops payments.
type paymentsCommand struct {
	target.Target `embed:""`
	Search        string `aliases:"q" help:"List only what this text names: a number or id of an order, an id of the payment, or one of Stripe." placeholder:"TEXT"`
	Status        string `help:"List only payments with this status, such as captured, declined, refunded or refund_failed." placeholder:"STATUS"`
	Dispute       string `help:"List only payments that a bank disputes or asks about: open for those that are not closed, any for all." enum:"open,any," default:"" placeholder:"open|any"`
	Expiring      bool   `help:"List only payments whose authorization ends within 24 hours."`
	Limit         int    `help:"List at most this many." default:"20"`
	JSON          bool   `name:"json" help:"Write the list as JSON."`
	CSV           bool   `name:"csv" help:"Write the list as CSV."`
}

// Help is shown by ops payments --help.
func (paymentsCommand) Help() string {
	return `The list comes from the staff API. ops verify compares the payments with Stripe; ops order shows the payment of one order.

Examples:
  ops payments --status captured
  ops payments --expiring
  ops payments --search pi_3PqZ0a2eZvKYlo2C1
  ops payments --dispute open`
}

// Validate is called by kong when the command line is read.
func (c *paymentsCommand) Validate() error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit %d: want 1 or more", c.Limit)
	}
	return checkEach("--status", c.Status, payments.Statuses())
}

// Run lists payments.
func (c *paymentsCommand) Run(ctx context.Context, out *terminal) error {
	api, err := newStaffAPI(c.Target)
	if err != nil {
		return err
	}
	list := payments.ListBody{Payments: []payments.ListedPayment{}}
	for cursor := ""; len(list.Payments) < c.Limit; cursor = list.NextCursor {
		query := url.Values{"limit": {strconv.Itoa(min(c.Limit-len(list.Payments), largestPage))}}
		for name, value := range map[string]string{"q": c.Search, "status": c.Status, "dispute": c.Dispute, "cursor": cursor} {
			if value != "" {
				query.Set(name, value)
			}
		}
		if c.Expiring {
			query.Set("expiring", "true")
		}
		var page payments.ListBody
		if err := api.call(ctx, http.MethodGet, "/ops/api/payments?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		list.Payments, list.NextCursor = append(list.Payments, page.Payments...), page.NextCursor
		if list.NextCursor == "" {
			break
		}
	}
	switch {
	case c.CSV && c.Dispute != "":
		return disputeTable(list.Payments).csv(out)
	case c.CSV:
		return paymentTable(list.Payments).csv(out)
	}
	return out.answer(c.JSON, map[string]any{"payments": list.Payments, "more": list.NextCursor != ""}, func() error { return c.write(list, out) }, false)
}

func (c *paymentsCommand) write(list payments.ListBody, out *terminal) error {
	if len(list.Payments) == 0 {
		return out.printf("no payments")
	}
	if list.NextCursor != "" {
		out.note("there are more payments; --limit shows more")
	}
	if c.Dispute != "" {
		return disputeTable(list.Payments).write(out)
	}
	return writePayments(list.Payments, out)
}

// disputeTable has a row for each dispute of the payments.
func disputeTable(rows []payments.ListedPayment) *table {
	t := newTable("ORDER", "STATUS", "REASON", "AMOUNT>", "EVIDENCE DUE", "AT STRIPE")
	t.cutLast = true
	for _, p := range rows {
		for _, d := range p.Disputes {
			due := ""
			if !d.EvidenceDue.IsZero() {
				due = d.EvidenceDue.UTC().Format(time.DateOnly)
			}
			t.add(cell{p.Number, bold}, d.Status, d.Reason, d.Amount.String(), due, d.ID)
		}
	}
	return t
}

// writePayments writes payments for a terminal. Numbers of orders and statuses are never shortened: the line below the amounts, which
// may be long, has what does not fit.
func writePayments(rows []payments.ListedPayment, out *terminal) error {
	t := newTable("ORDER", "AMOUNT>", "CAPTURED>", "REFUNDED>", "NET>", "STATUS, CHANGED, AT STRIPE")
	for _, p := range rows {
		status := string(p.Status)
		for _, d := range p.Disputes {
			status += ", dispute " + d.Status
		}
		rest := strings.Join(notEmpty(status, p.UpdatedAt.Local().Format("01-02 15:04"), p.PaymentIntent), "  ")
		t.add(cell{p.Number, bold}, p.Amount.String(), p.Captured.String(), p.Refunded.String(), netText(p), rest)
	}
	return t.write(out)
}

func paymentTable(rows []payments.ListedPayment) *table {
	t := newTable("ORDER", "STATUS", "AMOUNT>", "CAPTURED>", "REFUNDED>", "NET>", "CHANGED", "AT STRIPE")
	for _, p := range rows {
		t.add(p.Number, string(p.Status), p.Amount.String(), p.Captured.String(), p.Refunded.String(), netText(p), p.UpdatedAt.Local().Format(time.RFC3339), p.PaymentIntent)
	}
	return t
}

// netText returns the net amount of a payment, or nothing if nothing is booked yet.
func netText(p payments.ListedPayment) string {
	if p.Settlement == nil {
		return ""
	}
	return p.Settlement.Net.String()
}
