package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/inventory"
)

func (c *console) stockRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/stock", c.view(api.ReadAll, c.showStockList))
	mux.Handle("GET /ops/stock/{sku}", c.view(api.ReadAll, c.showLedger))
	mux.Handle("GET /ops/stock/{sku}/adjust", c.view(api.WriteStock, c.previewAdjustment))
	mux.Handle("POST /ops/stock/{sku}/adjust", c.act(api.WriteStock, c.adjustStock))
}

// subjectOf returns the subject of an entity with any id, or [events.ErrBadID].
func subjectOf(prefix, id string) (string, error) {
	if err := events.CheckSKU(id); err != nil {
		return "", err
	}
	return events.Subject(prefix, id)
}

// stockList is what the list of stock shows.
type stockList struct {
	inventory.StockListBody
	Q, Below, Cursor string
	First, Next      string // addresses; "" on the first and the last page
}

func (c *console) showStockList(w http.ResponseWriter, r *http.Request) error {
	list, err := c.readStock(r)
	if err != nil {
		return err
	}
	return c.render(w, r, "stock.html", page{Title: "Stock", Nav: "Stock", Command: list.command(), Data: list})
}

// command is the command of ops that shows the same list.
func (s stockList) command() string {
	command := "ops stock"
	if s.Q != "" {
		command += " --q " + shellWord(s.Q)
	}
	if s.Below != "" {
		command += " --below " + s.Below
	}
	return command
}

// readStock reads a page of the stock of all items, by the query of a page.
func (c *console) readStock(r *http.Request) (stockList, error) {
	query := r.URL.Query()
	list := stockList{Q: strings.TrimSpace(query.Get("q")), Cursor: query.Get("cursor")}
	if below, err := strconv.ParseUint(query.Get("below"), 10, 32); err == nil && below > 0 {
		list.Below = fmt.Sprint(below)
	}
	address := withQuery("/ops/api/stock", map[string]string{"q": list.Q, "below": list.Below, "cursor": list.Cursor})
	if err := c.callAPI(r, http.MethodGet, address, nil, &list.StockListBody); err != nil {
		return list, err
	}
	if list.NextCursor != "" {
		list.Next = withQuery(r.URL.Path, map[string]string{"q": list.Q, "below": list.Below, "cursor": list.NextCursor})
	}
	if list.Cursor != "" {
		list.First = withQuery(r.URL.Path, map[string]string{"q": list.Q, "below": list.Below})
	}
	return list, nil
}

// ledgerRows is how many movements a page of the ledger has.
const ledgerRows = 50

// ledgerPage is what the page of the stock of one SKU shows.
type ledgerPage struct {
	SKU    string
	Item   inventory.Item
	Level  events.StockLevel
	Ledger replay.Ledger
	Chart  *stockChart
	Drawn  bool // false while the first chart of a long ledger is computed
	Newest string
	Older  string // addresses of other pages; "" for none
}

func (c *console) showLedger(w http.ResponseWriter, r *http.Request) error {
	data := ledgerPage{SKU: r.PathValue("sku")}
	before, err := strconv.ParseUint(r.URL.Query().Get("before"), 10, 64)
	if err == nil && before > 0 {
		data.Newest = "/ops/stock/" + url.PathEscape(data.SKU)
	}
	if err := c.readLedger(r.Context(), &data, before); err != nil {
		return err
	}
	return c.render(w, r, "ledger.html", page{Title: "Stock of " + data.SKU, Nav: "Stock", Data: data, Command: "ops stock " + shellWord(data.SKU),
		Crumbs: []anchor{{"Stock", "/ops/stock"}}})
}

// readLedger reads what the page shows of a SKU. A SKU that was listed and never moved has an empty ledger.
func (c *console) readLedger(ctx context.Context, data *ledgerPage, before uint64) (err error) {
	if data.Item, data.Level, err = c.readSKU(ctx, data.SKU); err != nil {
		return err
	}
	data.Ledger, err = c.Log.Ledger(ctx, data.SKU, before, ledgerRows)
	if errors.Is(err, replay.ErrNotFound) {
		data.Drawn = true
		return nil
	}
	if err != nil {
		return err
	}
	if data.Ledger.Older > 0 {
		data.Older = fmt.Sprintf("/ops/stock/%s?before=%d", url.PathEscape(data.SKU), data.Ledger.Older)
	}
	data.Drawn, err = c.courses.of(ctx, c.Log, data.SKU, func(course *replay.StockCourse) { data.Chart = newStockChart(course, c.Now()) })
	return err
}

// readSKU returns an item and its stock from the log, or errNotFound for a SKU that has neither.
func (c *console) readSKU(ctx context.Context, sku string) (item inventory.Item, level events.StockLevel, err error) {
	if events.CheckSKU(sku) != nil {
		return item, level, errNotFound
	}
	item, _, err = inventory.Items.Read(ctx, c.Log.Log(), sku)
	if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
		return item, level, err
	}
	stock, _, err := inventory.Stocks.Read(ctx, c.Log.Log(), sku)
	if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
		return item, level, err
	}
	if !item.Exists() && !stock.Exists() {
		return item, level, errNotFound
	}
	return item, stock.Level, nil
}

// adjustment is what the page before an adjustment shows.
type adjustment struct {
	SKU, Reason   string
	How           string // delta or count
	Number        string
	Before, After events.StockLevel
	Refused       string // why it is not possible
}

// previewAdjustment shows what an adjustment would do, and asks for confirmation.
func (c *console) previewAdjustment(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	data := adjustment{SKU: r.PathValue("sku"), Reason: query.Get("reason"), How: query.Get("how"), Number: strings.TrimSpace(query.Get("number"))}
	_, level, err := c.readSKU(r.Context(), data.SKU)
	if err != nil {
		return err
	}
	data.Before, data.After = level, level
	change, err := adjustmentOf(query)
	if err == nil {
		data.After, err = change.Preview(data.SKU, level)
	}
	if err != nil {
		data.Refused = err.Error()
	}
	command := fmt.Sprintf("ops adjust %s --%s=%s --reason %s", shellWord(data.SKU), data.How, shellWord(data.Number), shellWord(data.Reason))
	return c.render(w, r, "adjust.html", page{Title: "Adjust " + data.SKU, Nav: "Stock", Data: data, Command: command,
		Crumbs: []anchor{{"Stock", "/ops/stock"}, {data.SKU, "/ops/stock/" + url.PathEscape(data.SKU)}}})
}

// adjustmentOf reads an adjustment from the fields of a form.
func adjustmentOf(form url.Values) (inventory.Adjustment, error) {
	a := inventory.Adjustment{Reason: form.Get("reason")}
	n, err := strconv.ParseInt(strings.TrimSpace(form.Get("number")), 10, 64)
	if err != nil {
		return a, fmt.Errorf("number %.40q: want a whole number", form.Get("number"))
	}
	switch form.Get("how") {
	case "count":
		a.Count = &n
	case "delta":
		a.Delta = &n
	default:
		return a, errors.New("want a count or a difference")
	}
	if seen, err := strconv.ParseInt(form.Get("seen"), 10, 64); err == nil {
		a.ExpectOnHand = &seen
	}
	return a, a.Check()
}

// adjustStock corrects what is on hand, unless it has changed since the preview.
func (c *console) adjustStock(r *http.Request, author events.Author) (outcome, error) {
	sku := r.PathValue("sku")
	change, err := adjustmentOf(r.PostForm)
	if err != nil {
		return outcome{}, err
	}
	change.Reason = author.Reason
	var level inventory.LevelBody
	if err := c.callAPI(r, http.MethodPost, "/ops/api/stock/"+url.PathEscape(sku)+"/adjustments", change, &level); err != nil {
		return outcome{}, err
	}
	return outcome{Text: fmt.Sprintf("%s: %s on hand, %s held, %s available.", sku, number(level.OnHand), number(level.Held), number(level.Available)),
		Event: c.newestOf(r, events.PrefixStock, sku), To: "/ops/stock/" + url.PathEscape(sku)}, nil
}

// patience is how long a page waits for the first chart of a ledger. One that takes longer is drawn on a later view.
const patience = 150 * time.Millisecond
