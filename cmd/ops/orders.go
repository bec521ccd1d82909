package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/lookup"
	"tillstream/orders"
)

// ordersCommand is ops orders.
type ordersCommand struct {
	target.Target `embed:""`
	Search        string `name:"search" aliases:"q" help:"List only what this text names: an order number in any spelling, an id, an e-mail address, a Stripe id; or parts of names, SKUs, statuses, dates." placeholder:"TEXT"`
	Status        string `help:"List only orders with one of these statuses, separated by commas: placed, awaiting_payment, capturing, confirmed, rejected, expired, cancelled, paid_late." placeholder:"STATUS" predictor:"status"`
	Payment       string `help:"List only orders with one of these payment statuses: unpaid, authorized, paid, partly_refunded, refunded, disputed." placeholder:"STATUS" predictor:"payment"`
	Since         string `help:"List only orders placed on this day or later: 2026-11-01, yesterday, 7d; or since a time such as 2026-11-01 14:05." placeholder:"DATE"`
	Until         string `help:"List only orders placed on this day or earlier, or before a time." placeholder:"DATE"`
	Sort          string `help:"newest, oldest, total (the largest first) or changed." enum:"newest,oldest,total,changed" default:"newest"`
	Limit         int    `help:"List at most this many." default:"20"`
	JSON          bool   `name:"json" help:"Write the list as JSON."`
	CSV           bool   `name:"csv" help:"Write the list as CSV."`

	from, to string
}

// Help is shown by ops orders --help.
func (ordersCommand) Help() string {
	return `The list comes from the staff API, which keeps an index of all orders in memory. A long e-mail address is shortened in its middle; --wide, --csv and --json have it in full.

Examples:
  ops orders --status awaiting_payment
  ops orders --search ada@example.com --since 7d
  ops orders --limit 1000 --csv > orders.csv`
}

// orderRow is one order as the staff API lists it.
type orderRow struct {
	ID         string       `json:"id"`
	Number     string       `json:"number"`
	Status     string       `json:"status"`
	Payment    string       `json:"payment_status"`
	Fulfilment string       `json:"fulfilment_status"`
	Email      string       `json:"email"`
	Total      events.Money `json:"total"`
	PlacedAt   time.Time    `json:"placed_at"`
}

// largestPage is the largest page of the staff API.
const largestPage = 200

// Validate is called by kong when the command line is read.
func (c *ordersCommand) Validate() (err error) {
	if c.from, err = dayOrTime("--since", c.Since); err != nil {
		return err
	}
	if c.to, err = dayOrTime("--until", c.Until); err != nil {
		return err
	}
	if c.Limit < 1 {
		return fmt.Errorf("--limit %d: want 1 or more", c.Limit)
	}
	if err := checkEach("--status", c.Status, orders.Statuses()); err != nil {
		return err
	}
	return checkEach("--payment", c.Payment, orders.PaymentStatuses())
}

// dayOrTime returns what the staff API takes for the end of a range: days as they were typed, because it counts the whole day, and
// anything else that people type for a time as that time.
func dayOrTime(flag, s string) (string, error) {
	if _, _, isDay := lookup.Dates(s, time.Now()); isDay || s == "" {
		return s, nil
	}
	at, err := parseWhen(flag, s, time.Now())
	return at.Format(time.RFC3339), err
}

// checkEach returns an error for a value, of several separated by commas, that is not one of all.
func checkEach[S ~string](flag, values string, all []S) error {
	for value := range strings.SplitSeq(values, ",") {
		if values != "" && !slices.Contains(all, S(value)) {
			return fmt.Errorf("%s %s: want one of %v", flag, value, all)
		}
	}
	return nil
}

// Run lists orders.
func (c *ordersCommand) Run(ctx context.Context, out *terminal) error {
	api, err := newStaffAPI(c.Target)
	if err != nil {
		return err
	}
	rows, more, err := c.fetch(ctx, api)
	if err != nil {
		return err
	}
	if c.CSV {
		return orderTable(rows, time.RFC3339).csv(out)
	}
	return out.answer(c.JSON, map[string]any{"orders": rows, "more": more}, func() error { return c.write(rows, more, out) }, false)
}

func (c *ordersCommand) write(rows []orderRow, more bool, out *terminal) error {
	if len(rows) == 0 {
		return out.printf("no orders")
	}
	layout := "01-02 15:04"
	if slices.ContainsFunc(rows, func(o orderRow) bool { return o.PlacedAt.Local().Year() != time.Now().Year() }) {
		layout = minutes
	}
	if err := orderTable(rows, layout).write(out); err != nil {
		return err
	}
	if more {
		out.note("there are more orders: --limit %d shows twice as many", 2*c.Limit)
	}
	return nil
}

// orderTable is the table of orders, with times in a layout. The year is left out where it is this one, for the e-mail addresses.
func orderTable(rows []orderRow, layout string) *table {
	t := newTable("NUMBER", "STATUS", "PAYMENT", "TOTAL>", "PLACED", "E-MAIL")
	t.cutLast = true
	for _, o := range rows {
		t.add(o.Number, cell{o.Status, statusStyle(o.Status)}, cell{o.Payment, statusStyle(o.Payment)}, o.Total.String(), o.PlacedAt.Local().Format(layout), o.Email)
	}
	return t
}

// fetch reads pages until there are enough orders or no more.
func (c *ordersCommand) fetch(ctx context.Context, api *staffAPI) (rows []orderRow, more bool, err error) {
	rows = []orderRow{}
	for cursor := ""; len(rows) < c.Limit; {
		query := url.Values{"limit": {strconv.Itoa(min(c.Limit-len(rows), largestPage))}}
		for name, value := range map[string]string{"status": c.Status, "payment_status": c.Payment, "q": c.Search, "from": c.from, "to": c.to, "sort": c.Sort, "cursor": cursor} {
			if value != "" {
				query.Set(name, value)
			}
		}
		var page struct {
			Orders     []orderRow `json:"orders"`
			NextCursor string     `json:"next_cursor"`
		}
		if err := api.call(ctx, http.MethodGet, "/ops/api/orders?"+query.Encode(), nil, &page); err != nil {
			return nil, false, err
		}
		rows, cursor = append(rows, page.Orders...), page.NextCursor
		if cursor == "" {
			return rows, false, nil
		}
		more = true
	}
	return rows, more, nil
}

func statusStyle(status string) style {
	switch status {
	case "confirmed", "paid", "fulfilled", "partly_fulfilled", "delivered":
		return green
	case "rejected", "expired", "cancelled":
		return red
	case "paid_late", "refunded", "partly_refunded":
		return yellow
	}
	return cyan
}
