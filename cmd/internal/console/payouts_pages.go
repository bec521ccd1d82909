package console

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"tillstream/events/api"
	"tillstream/payments"
)

func (c *console) payoutRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/payouts", c.view(api.ReadAll, c.showPayouts))
	mux.Handle("GET /ops/payouts.csv", c.view(api.ReadAll, c.exportPayouts))
	mux.Handle("GET /ops/payouts/{id}", c.view(api.ReadAll, c.showPayout))
	mux.Handle("GET /ops/payouts/{id}/csv", c.view(api.ReadAll, c.exportPayout))
}

// payoutList is what the list of payouts shows.
type payoutList struct {
	payments.PayoutsBody
	Unavailable string // why Stripe could not be asked
	Cursor      string
	First, Next string
}

func (c *console) showPayouts(w http.ResponseWriter, r *http.Request) error {
	list := payoutList{Cursor: r.URL.Query().Get("cursor")}
	err := c.callAPI(r, http.MethodGet, withQuery("/ops/api/payouts", map[string]string{"cursor": list.Cursor}), nil, &list.PayoutsBody)
	if list.Unavailable, err = unavailable(err); err != nil {
		return err
	}
	if list.NextCursor != "" {
		list.Next = withQuery(r.URL.Path, map[string]string{"cursor": list.NextCursor})
	}
	if list.Cursor != "" {
		list.First = r.URL.Path
	}
	return c.render(w, r, "payouts.html", page{Title: "Payouts", Nav: "Payments", Data: list, Command: "ops payouts", Crumbs: []anchor{{"Payments", "/ops/payments"}}})
}

// unavailable returns the text of an answer that says why Stripe could not be asked, which a page shows, or any other error.
func unavailable(err error) (text string, other error) {
	var answer *apiError
	if errors.As(err, &answer) && answer.Status == http.StatusServiceUnavailable {
		return answer.Text, nil
	}
	return "", err
}

// onePayout is what the page of a payout shows.
type onePayout struct {
	payments.PayoutReport
	ID          string
	Unavailable string // why Stripe could not be asked
}

func (c *console) showPayout(w http.ResponseWriter, r *http.Request) error {
	data, err := c.readPayout(r)
	if data.Unavailable, err = unavailable(err); err != nil {
		return err
	}
	return c.render(w, r, "payout.html", page{Title: "Payout " + data.ID, Nav: "Payments", Data: data, Command: "ops payout " + data.ID,
		Crumbs: []anchor{{"Payments", "/ops/payments"}, {"Payouts", "/ops/payouts"}}})
}

func (c *console) readPayout(r *http.Request) (data onePayout, err error) {
	data.ID = r.PathValue("id")
	err = c.callAPI(r, http.MethodGet, "/ops/api/payouts/"+url.PathEscape(data.ID), nil, &data.PayoutReport)
	return data, err
}

// maxPayouts is the most payouts in one file, the newest.
const maxPayouts = 1000

func (c *console) exportPayouts(w http.ResponseWriter, r *http.Request) error {
	rows := [][]string{{"payout", "arrives_at", "created_at", "amount", "currency", "status"}}
	for cursor := ""; ; {
		var list payments.PayoutsBody
		if err := c.callAPI(r, http.MethodGet, withQuery("/ops/api/payouts", map[string]string{"limit": "100", "cursor": cursor}), nil, &list); err != nil {
			return err
		}
		for _, p := range list.Payouts {
			rows = append(rows, []string{p.ID, p.ArrivesAt.UTC().Format(time.RFC3339), p.CreatedAt.UTC().Format(time.RFC3339), p.Amount.Number(), p.Amount.Currency, p.Status})
		}
		if cursor = list.NextCursor; cursor == "" || len(rows) > maxPayouts {
			return sendCSV(w, "payouts", rows)
		}
	}
}

func (c *console) exportPayout(w http.ResponseWriter, r *http.Request) error {
	data, err := c.readPayout(r)
	if err != nil {
		return err
	}
	rows := [][]string{{"transaction", "created_at", "group", "kind", "order", "order_id", "source", "amount", "fee", "net", "currency"}}
	for _, row := range data.Rows {
		rows = append(rows, []string{row.Transaction, row.CreatedAt.UTC().Format(time.RFC3339), row.Group, row.Kind, row.Number, row.OrderID, row.Source,
			row.Amount.Number(), row.Fee.Number(), row.Net.Number(), row.Amount.Currency})
	}
	return sendCSV(w, data.Payout.ID, rows)
}
