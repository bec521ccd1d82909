package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestTheListOfItemsHasPicturesPricesAndStock(t *testing.T) {
	g := openGoods(t)
	g.list("MUG/1", "Harbour Mug", 12, "kitchen")
	shows(t, g.get("/ops/items"), "Harbour Mug", "£8.50", `src="/ops/pictures/MUG%2F1.svg"`, "kitchen", `href="/ops/items/MUG%2F1"`)
	answer, picture := g.send(g.Client, "GET", "/ops/pictures/MUG%2F1.svg", nil)
	if answer.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(picture, "<svg") {
		t.Errorf("picture: got %s %.80s", answer.Header.Get("Content-Type"), picture)
	}
}

// itemFields are the fields of the form of an item, with some changed.
func itemFields(changed map[string]string) url.Values {
	form := url.Values{"title": {"Harbour Mug"}, "price": {"8.50"}, "currency": {"GBP"}, "description": {"About Harbour Mug"}, "tags": {"kitchen"}, "image": {""}, "reason": {"spring prices"}}
	for name, value := range changed {
		form.Set(name, value)
	}
	return form
}

func TestChangingAnItemShowsWhoChangedWhatAndWhy(t *testing.T) {
	g := openGoods(t)
	g.list("MUG", "Harbour Mug", 12, "kitchen")
	page := g.post("/ops/items/MUG", itemFields(map[string]string{"price": "9", "tags": "kitchen, blue ,"}))
	shows(t, page, "The item MUG is saved.", "price: £8.50 → £9.00", "tags: kitchen → kitchen, blue", "spring prices", "staff:mira", "listed at £8.50", `href="/ops/events/`)
	shows(t, g.post("/ops/items/MUG", itemFields(map[string]string{"price": "9", "tags": "kitchen, blue"})), "Nothing was changed")
	for field, bad := range map[string]struct{ value, want string }{
		"title": {"", "title: want 1 to 200 characters"}, "price": {"8,50", "want an amount such as 8.50 GBP"}, "image": {"javascript:alert(1)", "want a path"}, "reason": {"", "please give a reason"},
	} {
		shows(t, g.post("/ops/items/MUG", itemFields(map[string]string{field: bad.value})), bad.want, `role="alert"`)
	}
}

func TestListingANewItem(t *testing.T) {
	g := openGoods(t)
	g.list("MUG", "Harbour Mug", 12)
	shows(t, g.post("/ops/new-item", itemFields(map[string]string{"sku": "POT", "title": "Tea Pot"})), "The item POT is saved.", "Tea Pot", "listed at £8.50")
	shows(t, g.post("/ops/new-item", itemFields(map[string]string{"sku": "JUG", "price": "850", "currency": "ISK"})), "listed at ISK\u00a0850<")
	shows(t, g.post("/ops/new-item", itemFields(map[string]string{"sku": "MUG"})), "the item MUG exists already")
	shows(t, g.post("/ops/new-item", itemFields(map[string]string{"sku": ""})), "want 1 to 64 printable characters")
}

func TestAViewerSeesItemsWithoutForms(t *testing.T) {
	g := openGoods(t)
	g.list("MUG", "Harbour Mug", 12)
	g.Client = g.signIn("viewer")
	if page := g.get("/ops/items") + g.get("/ops/items/MUG"); strings.Contains(page, "New item") || strings.Contains(page, "Save") {
		t.Error("the pages of a viewer have forms of items")
	}
	shows(t, g.post("/ops/items/MUG", itemFields(nil)), "does not have the permission items:write")
	if answer, _ := g.send(g.Client, "GET", "/ops/new-item", nil); answer.StatusCode == http.StatusOK {
		t.Error("new item as a viewer: got 200, want a refusal")
	}
}

func TestPagesOfItemsLookRight(t *testing.T) {
	g := openGoods(t)
	g.list("MUG-1", "Harbour Mug", 24, "kitchen", "gift")
	g.list("POT-2", "Tea Pot with a very long title that does not fit into one line of a phone", 0, "kitchen")
	g.post("/ops/items/MUG-1", itemFields(map[string]string{"price": "9.25"}))
	g.checkLooks("items", "/ops/items")
	g.checkLooks("item", "/ops/items/MUG-1")
	g.checkLooks("item-new", "/ops/new-item")
}
