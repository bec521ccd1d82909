//go:build unix

package process_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
)

// desk is a browser of a member of staff at the console of a fleet.
type desk struct {
	*fleet.Fleet
	browser *http.Client
	log     *replay.Reader
}

// openDesk starts a fleet, and signs in to its console with the link of the first admin.
func openDesk(t *testing.T) *desk {
	t.Helper()
	shop, err := fleet.Start(t.Context(), fleet.Config{Dir: t.TempDir(), MongoURI: projecttest.URI(t), Programs: proc.MustBuild(t, fleet.Packages()...),
		Output: func(name, line string) {
			if name != "broker" {
				t.Logf("%s: %s", name, line)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proc.Check(t, shop.Stop()) })
	reader, done, err := shop.Shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{Fleet: shop, browser: &http.Client{Jar: jar, Timeout: 30 * time.Second}, log: reader}
	service, err := staff.New(staff.Config{Directory: staff.NewDirectory(reader.Log()), Log: reader.Log()})
	if err != nil {
		t.Fatal(err)
	}
	link, err := service.Add(t.Context(), staff.Addition{Name: "mira", Role: api.Admin}, events.Author{Reason: "first admin"})
	if err != nil {
		t.Fatal(err)
	}
	const password = "a long password that nobody guesses"
	joining := url.Values{"link": {link.Address(shop.Shop.Ops)}, "new": {password}, "again": {password}}
	proc.WaitFor(t, "the console knows the link", time.Minute, func() bool { return d.send(t, http.MethodPost, "/ops/join", joining).status == http.StatusOK })
	d.post(t, "/ops/signin", url.Values{"name": {"mira"}, "password": {password}}, "Overview", "staff:mira")
	return d
}

// page is what a request to the console led to, after redirects.
type page struct {
	status     int
	path, body string
}

// send sends a request, with a form unless it is nil, and follows redirects.
func (d *desk) send(t *testing.T, method, path string, form url.Values) page {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.Shop.Ops+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := d.browser.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return page{answer.StatusCode, answer.Request.URL.Path, string(body)}
}

// post sends a form. The page after it must contain these texts.
func (d *desk) post(t *testing.T, path string, form url.Values, want ...string) page {
	t.Helper()
	p := d.send(t, http.MethodPost, path, form)
	for _, text := range want {
		if p.status != http.StatusOK || !strings.Contains(p.body, text) {
			t.Fatalf("POST %s: got status %d without %q:\n%s", path, p.status, text, p.body)
		}
	}
	return p
}

// await reads a page again and again until it contains a text.
func (d *desk) await(t *testing.T, path, text string) page {
	t.Helper()
	var p page
	defer func() {
		if t.Failed() {
			t.Logf("GET %s: status %d:\n%s", path, p.status, p.body)
		}
	}()
	proc.WaitFor(t, fmt.Sprintf("%s shows %q", path, text), time.Minute, func() bool {
		p = d.send(t, http.MethodGet, path, nil)
		return p.status == http.StatusOK && strings.Contains(p.body, text)
	})
	return p
}

// did fails unless the newest event of an entity is of a type, was appended by a program, and has the member of staff as its actor.
func (d *desk) did(t *testing.T, prefix, id, eventType, source string) {
	t.Helper()
	subject, err := events.Subject(prefix, id)
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.log.Newest(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Event()
	if err != nil || e.Type != eventType || e.Source != source || e.Actor != events.ActorStaff+"mira" {
		t.Errorf("newest event of %s: got %s of %s by %s (%v), want %s of %s by staff:mira", subject, e.Type, e.Source, e.Actor, err, eventType, source)
	}
}

// order places an order in the storefront and, unless paid is false, pays for it.
func (d *desk) order(t *testing.T, email string, paid bool) loadgen.Order {
	t.Helper()
	unpaid := errors.New("the shopper leaves before paying")
	buyer := loadgen.Buyer{Shop: loadgen.NewShop(loadgen.Addresses{Storefront: d.Shop.Storefront, Stripe: d.Shop.Stripe}, 1, true), Timeout: 90 * time.Second,
		Acknowledged: func(string) error {
			if paid {
				return nil
			}
			return unpaid
		}}
	p := buyer.Buy(t.Context(), loadgen.Basket{Key: "the-basket-of-" + email, Email: email, Name: "Ada", Locale: "en", Country: "GB",
		Lines: []loadgen.Line{{SKU: "MUG", Quantity: 2}}})
	if p.Err != nil && !errors.Is(p.Err, unpaid) {
		t.Fatalf("purchase of %s: %v", email, p.Err)
	}
	return p.Order
}

// The console as a process of its own beside workers: an admin signs in with a one-time link, changes an item and its stock, finds an
// order of a shopper, cancels another one, pauses a lane and replays events. The workers append what they decide about, with the member of
// staff as the author. The console shows which processes do not answer. Killed, it comes back with the session still open.
func TestConsoleBesideWorkers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts eleven processes")
	}
	d := openDesk(t)
	d.post(t, "/ops/new-item", url.Values{"sku": {"MUG"}, "title": {"Harbour Mug"}, "price": {"12.50"}, "currency": {"GBP"}, "reason": {"new"}}, "The item MUG is saved")
	d.did(t, events.PrefixItem, "MUG", events.ItemChanged{}.EventType(), "inventory")
	d.await(t, "/ops/items", "Harbour Mug")
	d.post(t, "/ops/stock/MUG/adjust", url.Values{"how": {"count"}, "number": {"10"}, "reason": {"counted"}}, "10 on hand")
	d.did(t, events.PrefixStock, "MUG", events.StockAdjusted{}.EventType(), "inventory")

	bought, left := d.order(t, "ada@example.com", true), d.order(t, "theo@example.com", false)
	d.await(t, "/ops", `<h3>Orders</h3><div class="value">2</div>`)
	d.await(t, "/ops", `<div>£25.00</div>`)
	proc.WaitFor(t, "a search for the e-mail address opens the order", time.Minute, func() bool {
		return d.send(t, http.MethodGet, "/ops/search?q=+ada@example.com+", nil).path == "/ops/orders/"+bought.ID
	})
	d.post(t, "/ops/orders/"+left.ID+"/cancel", url.Values{"reason": {"asked on the telephone"}}, "is cancelled")
	d.did(t, events.PrefixOrder, left.ID, events.OrderCancelled{}.EventType(), "orders")
	d.await(t, "/ops/stock/MUG", "10")

	d.pause(t)
	d.redeliver(t, bought.ID)
	d.loseWorker(t)
	proc.Check(t, d.Console.Kill())
	proc.Check(t, d.Console.Start())
	awaitReady(t, "console", d.Shop.Ops)
	d.await(t, "/ops", `<h3>Orders</h3><div class="value">2</div>`)
	d.post(t, "/ops/stock/MUG/adjust", url.Values{"how": {"delta"}, "number": {"-1"}, "reason": {"broken"}}, "7 on hand")
	if crashes := d.Crashes(); len(crashes) > 0 {
		t.Errorf("got processes that ended by themselves: %v", crashes)
	}
}

// pause pauses the projection of orders, which the orders worker obeys, and resumes it.
func (d *desk) pause(t *testing.T) {
	t.Helper()
	d.post(t, "/ops/lanes/orders.projection/pause", url.Values{"for": {""}, "reason": {"maintenance"}}, "is paused")
	d.did(t, events.PrefixLane, "orders.projection", events.LanePaused{}.EventType(), "ops")
	d.await(t, "/ops/system", "lane_paused: orders.projection: paused") // as /readyz of the processes says
	d.post(t, "/ops/lanes/orders.projection/resume", url.Values{"reason": {"done"}}, "is resumed")
}

// loseWorker kills a replica of a worker, which the first page names until it answers again.
func (d *desk) loseWorker(t *testing.T) {
	t.Helper()
	lost := d.Workers[0]
	name := lost.Worker + " at " + strings.TrimPrefix(lost.URL, "http://")
	proc.Check(t, lost.Kill())
	d.await(t, "/ops", name+" is not ready</strong> — it does not answer: ")
	proc.Check(t, lost.Start())
	d.await(t, "/ops/system", `<span class="chip good">ready</span> <strong>`+name)
}

// redelivered matches the sentence about the events of a replay.
var redelivered = regexp.MustCompile(`Requested: \d+ events?`)

// redeliver replays the events of an order to the worker that has handled them, which appends nothing.
func (d *desk) redeliver(t *testing.T, order string) {
	t.Helper()
	p := d.post(t, "/ops/replay", url.Values{"order": {order}, "lane": {"orders"}, "reason": {"to be sure"}}, "Requested: ")
	if !redelivered.MatchString(p.body) || !strings.HasPrefix(p.path, "/ops/replay/") {
		t.Fatalf("request a replay: got %s:\n%s", p.path, p.body)
	}
	d.await(t, p.path, "finished")
	before, err := d.log.Newest(t.Context(), events.PrefixOrder+order)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := before.Event(); err != nil || e.Type != (events.OrderConfirmed{}).EventType() {
		t.Errorf("newest event of the order after the replay: got %s (%v), want its confirmation", e.Type, err)
	}
}
