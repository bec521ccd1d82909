package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/payments"
)

// payoutsCommand is ops payouts.
type payoutsCommand struct {
	target.Target `embed:""`
	Limit         int  `help:"List at most this many." default:"20"`
	JSON          bool `name:"json" help:"Write the list as JSON."`
	CSV           bool `name:"csv" help:"Write the list as CSV."`
}

// Help is shown by ops payouts --help.
func (payoutsCommand) Help() string {
	return `A payout is the money that Stripe sends from the shop's balance to its bank account. The list comes from Stripe.

Examples:
  ops payouts
  ops payouts --limit 100 --csv`
}

// Validate is called by kong when the command line is read.
func (c *payoutsCommand) Validate() error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit %d: want 1 or more", c.Limit)
	}
	return nil
}

// largestPayoutPage is the most payouts that Stripe lists at once.
const largestPayoutPage = 100

// Run lists payouts.
func (c *payoutsCommand) Run(ctx context.Context, out *terminal) error {
	api, err := newStaffAPI(c.Target)
	if err != nil {
		return err
	}
	list := payments.PayoutsBody{Payouts: []payments.Payout{}}
	for cursor := ""; len(list.Payouts) < c.Limit; cursor = list.NextCursor {
		query := url.Values{"limit": {strconv.Itoa(min(c.Limit-len(list.Payouts), largestPayoutPage))}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var page payments.PayoutsBody
		if err := api.call(ctx, http.MethodGet, "/ops/api/payouts?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		list.Payouts, list.NextCursor = append(list.Payouts, page.Payouts...), page.NextCursor
		if list.NextCursor == "" {
			break
		}
	}
	if c.CSV {
		return payoutTable(list.Payouts).csv(out)
	}
	return out.answer(c.JSON, map[string]any{"payouts": list.Payouts, "more": list.NextCursor != ""}, func() error {
		if len(list.Payouts) == 0 {
			return out.printf("no payouts")
		}
		if list.NextCursor != "" {
			out.note("there are more payouts; --limit shows more")
		}
		return payoutTable(list.Payouts).write(out)
	}, false)
}

func payoutTable(rows []payments.Payout) *table {
	t := newTable("ARRIVES", "AMOUNT>", "STATUS", "PAYOUT")
	for _, p := range rows {
		t.add(p.ArrivesAt.UTC().Format(time.DateOnly), p.Amount.String(), p.Status, cell{p.ID, bold})
	}
	return t
}

// payoutCommand is ops payout.
type payoutCommand struct {
	target.Target `embed:""`
	Payout        string `arg:"" help:"Id of the payout at Stripe: po_…"`
	JSON          bool   `name:"json" help:"Write JSON: {payout, groups, rows, net, difference}."`
	CSV           bool   `name:"csv" help:"Write the rows as CSV."`
}

// Help is shown by ops payout --help.
func (payoutCommand) Help() string {
	return `Shows what a payout consists of: charges, refunds, disputes and fees, each with the order that it is about. The net amounts add up to the amount of the payout. If they do not, the difference is named: Stripe tells what a payout consists of only for those that its schedule has made.

Examples:
  ops payout po_1PqZ0a2eZvKYlo2C
  ops payout po_1PqZ0a2eZvKYlo2C --csv > payout.csv

Exit codes: 0 the rows add up; 1 they do not; 2 it could not be done.`
}

// Run shows what a payout consists of.
func (c *payoutCommand) Run(ctx context.Context, out *terminal) error {
	api, err := newStaffAPI(c.Target)
	if err != nil {
		return err
	}
	var report payments.PayoutReport
	if err := api.call(ctx, http.MethodGet, "/ops/api/payouts/"+url.PathEscape(c.Payout), nil, &report); err != nil {
		return err
	}
	if c.CSV {
		return payoutRows(report).csv(out)
	}
	return out.answer(c.JSON, report, func() error { return writePayout(report, out) }, !report.Difference.IsZero())
}

func writePayout(r payments.PayoutReport, out *terminal) error {
	p := r.Payout
	problems := []error{out.item(cell{p.ID, bold}, fmt.Sprintf("%s · %s · arrives %s", p.Amount, p.Status, p.ArrivesAt.UTC().Format(time.DateOnly)))}
	if p.Failure != "" {
		problems = append(problems, out.item(cell{"failed", red}, p.Failure))
	}
	if len(r.Rows) > 0 {
		sums := newTable("GROUP", "COUNT>", "AMOUNT>", "FEES>", "NET>")
		for _, g := range r.Groups {
			sums.add(cell{g.Group, bold}, fmt.Sprint(g.Count), g.Amount.String(), g.Fee.String(), g.Net.String())
		}
		problems = append(problems, out.printf(""), sums.write(out), out.printf(""), payoutRows(r).write(out), out.printf(""))
	}
	return errors.Join(append(problems, out.item(cell{"net", bold}, r.Net.String()), writeDifference(r, out))...)
}

// writeDifference names what the rows lack of the payout, and why.
func writeDifference(r payments.PayoutReport, out *terminal) error {
	if r.Difference.IsZero() {
		return nil
	}
	text := r.Difference.String() + " of the payout is in no row"
	if !r.Payout.Automatic {
		text += ": it was not made by Stripe's schedule, and Stripe does not tell what it consists of"
	}
	return out.item(cell{"difference", red}, text)
}

func payoutRows(r payments.PayoutReport) *table {
	t := newTable("DATE", "ORDER", "KIND", "AMOUNT>", "FEE>", "NET>", "AT STRIPE")
	t.cutLast = true
	for _, row := range r.Rows {
		t.add(row.CreatedAt.UTC().Format(time.DateOnly), cell{row.Number, bold}, row.Kind, row.Amount.String(), row.Fee.String(), row.Net.String(), row.Source)
	}
	return t
}
