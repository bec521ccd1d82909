package console

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// csvRoutes registers the lists as CSV, with the filters of their pages.
func (c *console) csvRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/system/lanes.csv", c.view(api.ReadAll, c.exportLanes))
	mux.Handle("GET /ops/deadletters.csv", c.view(api.ReadAll, c.exportLetters))
	mux.Handle("GET /ops/stock.csv", c.view(api.ReadAll, c.exportStock))
	mux.Handle("GET /ops/stock/{sku}/csv", c.view(api.ReadAll, c.exportLedger))
}

func (c *console) exportLanes(w http.ResponseWriter, r *http.Request) error {
	lanes, err := c.Log.Lanes(r.Context())
	if err != nil {
		return err
	}
	rows := [][]string{{"lane", "kind", "process", "position", "lag", "open", "state"}}
	for _, l := range lanes {
		rows = append(rows, []string{l.Name, string(l.Kind), l.Holder, fmt.Sprint(l.Position), fmt.Sprint(l.Lag), fmt.Sprint(len(l.Open)), lane{Lane: l}.State()})
	}
	return sendCSV(w, "lanes", rows)
}

// exportLetters writes every dead letter in a state, with a cause.
func (c *console) exportLetters(w http.ResponseWriter, r *http.Request) error {
	all, err := c.Log.DeadLetters(r.Context(), 0)
	if err != nil {
		return err
	}
	state, cause := cmp.Or(r.URL.Query().Get("state"), string(replay.StateOpen)), r.URL.Query().Get("cause")
	rows := [][]string{{"number", "opened", "state", "lane", "type", "subject", "sequence", "attempt", "cause", "error", "by", "reason"}}
	for _, d := range lettersIn(all, state, cause) {
		rows = append(rows, []string{fmt.Sprint(d.Number), d.Stored.UTC().Format(time.RFC3339), string(d.State), d.Worker, d.Type, d.Subject, fmt.Sprint(d.Sequence),
			fmt.Sprint(d.Attempt), d.Fingerprint, d.Error, d.By, d.Reason})
	}
	return sendCSV(w, "deadletters", rows)
}

// exportStock writes the stock of every item that the filter selects, read page by page.
func (c *console) exportStock(w http.ResponseWriter, r *http.Request) error {
	rows := [][]string{{"sku", "title", "price", "on_hand", "held", "available"}}
	query := r.URL.Query()
	for query.Del("cursor"); ; {
		one := r.Clone(r.Context())
		one.URL.RawQuery = query.Encode()
		list, err := c.readStock(one)
		if err != nil {
			return err
		}
		for _, s := range list.Items {
			rows = append(rows, []string{s.SKU, s.Title, s.Price.String(), fmt.Sprint(s.OnHand), fmt.Sprint(s.Held), fmt.Sprint(s.Available)})
		}
		if list.NextCursor == "" {
			return sendCSV(w, "stock", rows)
		}
		query = url.Values{"q": {list.Q}, "below": {list.Below}, "cursor": {list.NextCursor}}
	}
}

// maxMovements is the most movements of a ledger in one file, the newest.
const maxMovements = 100_000

func (c *console) exportLedger(w http.ResponseWriter, r *http.Request) error {
	ledger, err := c.Log.Ledger(r.Context(), r.PathValue("sku"), 0, maxMovements)
	if err != nil {
		return err
	}
	rows := [][]string{{"number", "time", "what", "change", "on_hand", "held", "available", "order", "reason", "by", "via", "sequence"}}
	for _, m := range ledger.Movements {
		rows = append(rows, []string{fmt.Sprint(m.Revision), m.Time.UTC().Format(time.RFC3339Nano), m.What, fmt.Sprint(m.Change), fmt.Sprint(m.After.OnHand),
			fmt.Sprint(m.After.Held), fmt.Sprint(m.After.Available), m.OrderID, m.Reason, m.Actor, m.Via, fmt.Sprint(m.Sequence)})
	}
	return sendCSV(w, "ledger", rows)
}

// sendCSV writes a list as a CSV file for download. No spreadsheet evaluates its cells.
func sendCSV(w http.ResponseWriter, name string, rows [][]string) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.csv"`, name))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = output.EscapeCell(cell)
		}
	}
	return csv.NewWriter(w).WriteAll(rows)
}
