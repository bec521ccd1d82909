package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/storefront"
	"tillstream/cmd/internal/web"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
	"tillstream/events/text"
	"tillstream/inventory"
)

func (c *console) itemRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/items", c.view(api.ReadAll, c.showItems))
	mux.Handle("GET /ops/items/{sku}", c.view(api.ReadAll, c.showItem))
	mux.Handle("POST /ops/items/{sku}", c.act(api.WriteItems, c.changeItem))
	mux.Handle("GET /ops/new-item", c.view(api.WriteItems, c.showNewItem))
	mux.Handle("POST /ops/new-item", c.act(api.WriteItems, c.addItem))
	mux.Handle("GET /ops/pictures/{sku}", c.view(api.ReadAll, c.showPicture))
}

func (c *console) showItems(w http.ResponseWriter, r *http.Request) error {
	list, err := c.readStock(r)
	if err != nil {
		return err
	}
	return c.render(w, r, "items.html", page{Title: "Items", Nav: "Items", Command: list.command(), Data: list})
}

// itemForm is the fields of the form that changes an item, as they are typed.
type itemForm struct {
	SKU, Title, Price, Currency, Description, Tags, Image string
	New                                                   bool
}

// itemPage is what the page of one item shows.
type itemPage struct {
	Item    inventory.Item
	Level   events.StockLevel
	Form    itemForm
	Changes []itemChange
	Older   string // address of the page with older changes
	Newest  string
}

// itemChange is one event of an item and what it changed.
type itemChange struct {
	Sequence           uint64
	Time               time.Time
	Actor, Via, Reason string
	What               []string // printable
}

// itemRows is how many changes the page of an item shows.
const itemRows = 30

func (c *console) showItem(w http.ResponseWriter, r *http.Request) error {
	sku := r.PathValue("sku")
	item, level, err := c.readSKU(r.Context(), sku)
	if err != nil {
		return err
	}
	data := itemPage{Item: item, Level: level, Form: itemFormOf(item)}
	if !item.Exists() {
		return errNotFound
	}
	if err := c.readChanges(r, &data); err != nil {
		return err
	}
	return c.render(w, r, "item.html", page{Title: item.Title, Nav: "Items", Data: data, Command: "ops tail --domain inventory --type inventory.item_changed --since 720h",
		Crumbs: []anchor{{"Items", "/ops/items"}}})
}

// readChanges reads the history of an item, newest first. One event more than are shown is read, to compare the last one with it.
func (c *console) readChanges(r *http.Request, data *itemPage) error {
	var before uint64
	if _, err := fmt.Sscan(r.URL.Query().Get("before"), &before); err == nil && before > 0 {
		data.Newest = r.URL.Path
	}
	subject, err := subjectOf(events.PrefixItem, data.Item.SKU)
	if err != nil {
		return err
	}
	history, err := c.Log.EntityPage(r.Context(), subject, before, itemRows+1)
	if err != nil {
		return err
	}
	shown := history.Messages[:min(len(history.Messages), itemRows)]
	for i, m := range shown {
		var older events.ItemChanged
		if i+1 < len(history.Messages) {
			older = itemIn(history.Messages[i+1])
		}
		data.Changes = append(data.Changes, changeOf(m, older))
	}
	if len(history.Messages) > itemRows {
		data.Older = fmt.Sprintf("%s?before=%d", r.URL.EscapedPath(), history.Older+1)
	}
	return nil
}

func itemIn(m replay.Message) events.ItemChanged {
	e, err := m.Event()
	if err != nil {
		return events.ItemChanged{}
	}
	item, _ := e.Payload.(events.ItemChanged)
	return item
}

// changeOf says what an event of an item changed.
func changeOf(m replay.Message, before events.ItemChanged) itemChange {
	change := itemChange{Sequence: m.Sequence, Time: m.Stored}
	e, err := m.Event()
	after, ok := e.Payload.(events.ItemChanged)
	if err != nil || !ok {
		change.What = []string{"unreadable"}
		return change
	}
	change.Time, change.Actor, change.Via, change.Reason = e.Time, e.Actor, e.Via, e.Reason
	if before.SKU == "" {
		change.What = []string{fmt.Sprintf("listed at %s", money(after.Price))}
		return change
	}
	for _, field := range []struct{ name, before, after string }{
		{"title", text.Printable(before.Title), text.Printable(after.Title)}, {"price", money(before.Price), money(after.Price)},
		{"picture", text.Printable(before.Image), text.Printable(after.Image)},
		{"tags", text.Printable(strings.Join(before.Tags, ", ")), text.Printable(strings.Join(after.Tags, ", "))}} {
		if field.before != field.after {
			change.What = append(change.What, fmt.Sprintf("%s: %s → %s", field.name, orNone(field.before), orNone(field.after)))
		}
	}
	if before.Description != after.Description {
		change.What = append(change.What, "description")
	}
	return change
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func itemFormOf(item inventory.Item) itemForm {
	return itemForm{SKU: item.SKU, Title: item.Title, Price: item.Price.Number(), Currency: item.Price.Currency, Description: item.Description,
		Tags: strings.Join(item.Tags, ", "), Image: item.Image}
}

func (c *console) showNewItem(w http.ResponseWriter, r *http.Request) error {
	return c.render(w, r, "item-new.html", page{Title: "New item", Nav: "Items", Data: itemForm{New: true, Currency: "GBP"},
		Crumbs: []anchor{{"Items", "/ops/items"}}})
}

func (c *console) addItem(r *http.Request, author events.Author) (outcome, error) {
	sku := strings.TrimSpace(r.PostForm.Get("sku"))
	if events.CheckSKU(sku) != nil {
		return outcome{}, fmt.Errorf("SKU %.70q: want 1 to 64 printable characters", sku)
	}
	item, _, err := c.readSKU(r.Context(), sku)
	if err != nil && !errors.Is(err, errNotFound) {
		return outcome{}, err
	}
	if item.Exists() {
		return outcome{}, fmt.Errorf("the item %s exists already: change it on its own page", sku)
	}
	return c.putItem(r, sku, author)
}

func (c *console) changeItem(r *http.Request, author events.Author) (outcome, error) {
	return c.putItem(r, r.PathValue("sku"), author)
}

// putItem sends the form of an item to the staff API.
func (c *console) putItem(r *http.Request, sku string, author events.Author) (outcome, error) {
	if author.Reason == "" {
		return outcome{}, errors.New("please give a reason: it is kept in the audit")
	}
	listing, err := listingOf(r.PostForm)
	if err != nil {
		return outcome{}, err
	}
	listing.Reason = author.Reason
	var answer struct {
		Changed bool `json:"changed"`
	}
	to := "/ops/items/" + url.PathEscape(sku)
	if err := c.callAPI(r, http.MethodPut, "/ops/api/items/"+url.PathEscape(sku), listing, &answer); err != nil {
		return outcome{}, err
	}
	if !answer.Changed {
		return outcome{Text: "Nothing was changed: the item has these values already.", To: to}, nil
	}
	return outcome{Text: fmt.Sprintf("The item %s is saved.", sku), Event: c.newestOf(r, events.PrefixItem, sku), To: to}, nil
}

// listingOf reads the fields of the form of an item. The staff API checks them.
func listingOf(form url.Values) (inventory.ListingBody, error) {
	price, err := events.ParseMoney(form.Get("price"), strings.ToUpper(strings.TrimSpace(form.Get("currency"))))
	if err != nil {
		return inventory.ListingBody{}, err
	}
	tags := strings.Split(form.Get("tags"), ",")
	for i := range tags {
		tags[i] = strings.TrimSpace(tags[i])
	}
	tags = slices.DeleteFunc(tags, func(tag string) bool { return tag == "" })
	return inventory.ListingBody{Title: form.Get("title"), Description: form.Get("description"), Price: price, Image: strings.TrimSpace(form.Get("image")), Tags: tags}, nil
}

// showPicture draws the picture of an item as the storefront does, which may be on another host than the console.
func (c *console) showPicture(w http.ResponseWriter, r *http.Request) error {
	sku := strings.TrimSuffix(r.PathValue("sku"), ".svg")
	if events.CheckSKU(sku) != nil {
		return errNotFound
	}
	web.Send(w, web.Reply{Kind: "image/svg+xml", Cache: "private, max-age=86400", Body: []byte(storefront.Picture(sku, r.URL.Query()))})
	return nil
}

// picturePath is the path of the pictures that the storefront draws.
const picturePath = "/images/items/"

// pictureOf returns the address of an item's picture in the console. Pictures of other sites are not loaded, because their sites
// would learn when staff look at what.
func pictureOf(image string) string {
	if rest, ok := strings.CutPrefix(image, picturePath); ok {
		return "/ops/pictures/" + rest
	}
	return ""
}
