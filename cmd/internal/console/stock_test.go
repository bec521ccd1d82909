package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// vicious is text that would be markup, script or a formula if a page wrote it raw.
const vicious = `"><script>alert(1)</script><b>'=cmd` + "`"

// shows fails the test unless a page has all these texts.
func shows(t testing.TB, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q:\n%s", text, page)
		}
	}
}

func TestTheListOfStockFiltersByWhatIsLeft(t *testing.T) {
	g := openGoods(t)
	g.list("MUG-1", "Harbour Mug", 12)
	g.list("POT/2", "Tea Pot", 0)
	shows(t, g.get("/ops/stock"), "Harbour Mug", "Tea Pot", "2 items", `href="/ops/stock/POT%2F2"`, "sold out")
	soldOut := g.get("/ops/stock?below=1")
	shows(t, soldOut, "Tea Pot", "1 item", "ops stock --below 1")
	if strings.Contains(soldOut, "Harbour Mug") {
		t.Error("sold out: the page has an item that is not")
	}
	shows(t, g.get("/ops/stock?q=nothing"), "No items match")
}

func TestTheLedgerShowsWhoMovedWhatAndWhy(t *testing.T) {
	g := openGoods(t)
	g.list("POT/2", "Tea Pot", 12)
	shows(t, g.get("/ops/stock/POT%2F2"), "Tea Pot", "first count", "staff:ada", "&#43;12", `class="steps on-hand"`, "Stock over 1 movement")
	answer, _ := g.send(g.Client, "GET", "/ops/stock/NONE", nil)
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("unknown SKU: got %s, want 404", answer.Status)
	}
}

func TestTheLedgerHasPages(t *testing.T) {
	g := openGoods(t)
	g.list("MUG", "Mug", 1)
	for range ledgerRows + 5 {
		g.adjust("MUG", "delta", "1", "received")
	}
	first := g.get("/ops/stock/MUG")
	shows(t, first, "56, newest first", `href="/ops/stock/MUG?before=7"`)
	second := g.get("/ops/stock/MUG?before=7")
	shows(t, second, "First page", "first count")
	if n := strings.Count(second, "<tr data-row"); n != 6 {
		t.Errorf("second page: got %d movements, want 6", n)
	}
}

// adjust adjusts stock and returns the page after it.
func (g *goods) adjust(sku, how, number, reason string) string {
	g.t.Helper()
	return g.post("/ops/stock/"+url.PathEscape(sku)+"/adjust", url.Values{"how": {how}, "number": {number}, "reason": {reason}})
}

func TestAnAdjustmentIsPreviewedThenMade(t *testing.T) {
	g := openGoods(t)
	g.list("MUG", "Mug", 12)
	preview := g.get("/ops/stock/MUG/adjust?how=delta&number=3&reason=received")
	shows(t, preview, "12 → <strong>15</strong>", "Adjust to 15 on hand", "ops adjust MUG --delta=3 --reason received")
	shows(t, g.get("/ops/stock/MUG/adjust?how=count&number=-1&reason=x"), `role="alert"`)
	shows(t, g.get("/ops/stock/MUG/adjust?how=count&number=lots&reason=x"), "want a whole number")
	shows(t, g.adjust("MUG", "delta", "3", "received"), "MUG: 15 on hand", `href="/ops/events/`, "received", "staff:mira")
	shows(t, g.adjust("MUG", "delta", "3", ""), "reason: want 1 to 200 characters", `role="alert"`)
	changed := g.post("/ops/stock/MUG/adjust", url.Values{"how": {"count"}, "number": {"9"}, "seen": {"12"}, "reason": {"counted"}})
	shows(t, changed, "the stock has changed", "15 are on hand now, not 12")
}

func TestAViewerCannotAdjustStock(t *testing.T) {
	g := openGoods(t)
	g.list("MUG", "Mug", 12)
	g.Client = g.signIn("viewer")
	if page := g.get("/ops/stock/MUG"); strings.Contains(page, "/adjust") {
		t.Error("the page of a viewer has the form of adjustments")
	}
	shows(t, g.adjust("MUG", "delta", "3", "received"), "does not have the permission stock:write")
	answer, _ := g.send(g.Client, "GET", "/ops/stock/MUG/adjust?how=delta&number=3&reason=x", nil)
	if answer.StatusCode/100 != 4 {
		t.Errorf("preview as a viewer: got %s, want a refusal", answer.Status)
	}
}

func TestStoredTextIsNeverMarkupOnPagesOfGoods(t *testing.T) {
	g := openGoods(t)
	g.list("H"+vicious, vicious, 3, vicious)
	segment := url.PathEscape("H" + vicious)
	g.post("/ops/stock/"+segment+"/adjust", url.Values{"how": {"delta"}, "number": {"1"}, "reason": {vicious}})
	for _, path := range []string{"/ops/stock", "/ops/items", "/ops/stock/" + segment, "/ops/items/" + segment, "/ops/stock?q=" + url.QueryEscape(vicious),
		"/ops/payments?q=" + url.QueryEscape(vicious), "/ops/stock/" + segment + "/adjust?how=delta&number=" + url.QueryEscape(vicious) + "&reason=" + url.QueryEscape(vicious)} {
		if page := g.get(path); strings.Contains(page, "<script>alert") || strings.Contains(page, "<b>") {
			t.Errorf("%s has stored text as markup", path)
		}
	}
}

func TestPagesOfStockLookRight(t *testing.T) {
	g := openGoods(t)
	g.list("MUG-1", "Harbour Mug", 24, "kitchen")
	g.list("POT/2", "Tea Pot", 0)
	g.history("MUG-1")
	g.checkLooks("stock", "/ops/stock")
	g.checkLooks("ledger", "/ops/stock/MUG-1")
	g.checkLooks("adjust", "/ops/stock/MUG-1/adjust?how=delta&number=3&reason=received")
}

// history makes some movements of a SKU.
func (g *goods) history(sku string) {
	g.t.Helper()
	for i, number := range []string{"-3", "-2", "12", "-9", "-4", "-1", "30", "-6"} {
		g.adjust(sku, "delta", number, []string{"damaged", "received, delivery 4711"}[i%2])
	}
}

func TestAnAdjustmentInTheBrowser(t *testing.T) {
	g := openGoods(t)
	g.list("MUG", "Mug", 12)
	tab := g.tab(390)
	tab.Visit(g.URL + "/ops/stock/MUG")
	tab.Fill("#number", "3")
	tab.Fill("#adjust-reason", "received")
	tab.Click(".inline-form button")
	tab.See("main", "12 → 15")
	tab.Click("main form[method=post] button")
	tab.See(".flash", "15 on hand")
}
