package console

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
	"tillstream/orders"
)

// withStaff makes mira and olu admins, with real accounts, sessions and keys.
func withStaff(t testing.TB) func(*Config) {
	return func(config *Config) {
		l := config.Log.Log()
		directory := staff.NewDirectory(l)
		service, err := staff.New(staff.Config{Directory: directory, Log: l, Secrets: "the secret of a shop in a test"})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"mira", "olu"} {
			link, err := service.Add(t.Context(), staff.Addition{Name: name, Role: api.Admin}, events.Author{Actor: "staff:boss", Reason: "a test"})
			if err == nil {
				_, err = service.Accept(t.Context(), link.Token, password, "console 192.0.2.7")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		config.Access, config.Staff, config.Members = directory, staff.Sessions{Service: service, Shop: "Tillstream"}, MembersOf(service)
	}
}

// noTokens is an access without tokens of orders, for the orders domain.
type noTokens struct{ orderTokens }

// Token implements orders.Access.
func (noTokens) Token(string) string { return "" }

// withOrders adds the staff API of the orders domain.
func withOrders(t testing.TB) func(*Config) {
	return func(config *Config) {
		service, err := orders.New(orders.Config{Access: noTokens{orderTokens{config.Access}}, DB: config.DB, Log: config.Log.Log().ForDomain("orders"), Logger: config.Log.Log().Logger()})
		if err != nil {
			t.Fatal(err)
		}
		mux := api.NewMux()
		service.Register(api.New(mux))
		root := http.NewServeMux()
		root.Handle("/", config.API)
		root.Handle("/ops/api/orders/", api.Routes(mux))
		config.API = root
	}
}

// openEverything starts a console of which every action can be carried out: on the item MUG, the order o1 which is not paid, the dead
// letters 1 and 2, and two events that the lane orders can handle again.
func openEverything(t testing.TB) *goods {
	t.Helper()
	g := &goods{}
	var start func()
	g.world = open(t, withStaff(t), func(c *Config) { start = g.build(t, c) }, withOrders(t), func(c *Config) {
		c.ApprovalOver = 1
		c.Dispatcher = worker.NewDispatcher(worker.Domain{Name: "orders", Log: c.Log.Log(),
			Routes: []worker.Route{worker.On(func(*eventlog.Tx, events.Event, events.OrderExpired) error { return nil })}})
	})
	start()
	g.list("MUG", "Harbour Mug", 12)
	g.publish(events.Event{ID: "placed", Subject: events.PrefixOrder + "o1", CorrelationID: "o1", Payload: events.OrderPlaced{OrderID: "o1", Number: "4XRJK-QYW5E", Total: pounds(1250), ExpiresAt: time.Now().Add(time.Hour)}})
	for i, id := range []string{"o2", "o3"} {
		failed := g.publish(events.Event{ID: "expired-" + id, Subject: events.PrefixOrder + id, CorrelationID: id, Payload: events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: id}}})
		g.publish(events.Event{ID: "dead-" + id, Subject: fmt.Sprintf("deadletters.orders.%d", failed), Payload: events.DeadLettered{Worker: "orders", Sequence: failed, Attempt: 1, Error: fmt.Sprintf("no rule %d", i)}})
	}
	return g
}

// consoleAction is an action of the console and the event that it becomes.
type consoleAction struct {
	route string // as it is registered
	path  string // default: that of the route; REPLAY is the id of the newest replay, FAILED the sequence of an event of a dead letter
	by    string // default mira
	form  string // the fields besides the reason, as in an address
	event string // type; or "" and
	link  string // the address to which the result links instead
}

// consoleActions are all actions, in an order in which each is possible.
var consoleActions = []consoleAction{
	{route: "/ops/lanes/{lane}/pause", path: "/ops/lanes/inventory/pause", event: "ops.lane_paused"},
	{route: "/ops/lanes/{lane}/resume", path: "/ops/lanes/inventory/resume", event: "ops.lane_resumed"},
	{route: "/ops/items/{sku}", path: "/ops/items/MUG", form: "title=Mug&price=9&currency=GBP", event: "inventory.item_changed"},
	{route: "/ops/new-item", form: "sku=POT&title=Pot&price=9&currency=GBP", event: "inventory.item_changed"},
	{route: "/ops/stock/{sku}/adjust", path: "/ops/stock/MUG/adjust", form: "how=delta&number=3", event: "inventory.stock_adjusted"},
	{route: "/ops/orders/{id}/cancel", path: "/ops/orders/o1/cancel", event: "orders.cancelled"},
	{route: "/ops/deadletters/redrive", form: "number=1", event: "ops.redelivery_requested"},
	{route: "/ops/deadletters/discard", form: "number=2", link: "/ops/audit?type=worker.discarded"},
	{route: "/ops/replay", event: "ops.replay_requested"},
	{route: "/ops/replay/{id}/approve", path: "/ops/replay/REPLAY/approve", by: "olu", event: "ops.replay_approved"},
	{route: "/ops/replay/{id}/stop", path: "/ops/replay/REPLAY/stop", event: "ops.replay_stopped"},
	{route: "/ops/replay/{id}/resume", path: "/ops/replay/REPLAY/resume", event: "ops.replay_resumed"},
	{route: "/ops/staff", form: "name=lena&role=operator", event: "ops.staff_added"},
	{route: "/ops/staff/{name}/link", path: "/ops/staff/lena/link", event: "ops.staff_link_made"},
	{route: "/ops/staff/{name}/role", path: "/ops/staff/lena/role", form: "role=viewer", event: "ops.staff_role_changed"},
	{route: "/ops/account/totp", event: "ops.staff_totp_set"},
	{route: "/ops/account/password", form: "old=correct+horse+battery+staple&new=another+horse+battery&again=another+horse+battery", event: "ops.staff_password_changed"},
	{route: "/ops/staff/{name}/totp", path: "/ops/staff/mira/totp", by: "olu", event: "ops.staff_totp_removed"},
	{route: "/ops/staff/{name}/signout", path: "/ops/staff/mira/signout", by: "olu", event: "ops.staff_signed_out"},
	{route: "/ops/staff/{name}/remove", path: "/ops/staff/lena/remove", by: "olu", event: "ops.staff_removed"},
	{route: "/ops/events/{sequence}/void", path: "/ops/events/FAILED/void", by: "olu", form: "force=yes", event: "ops.event_voided"},
	{route: "/ops/keys", form: "name=till&scope=read", by: "olu", event: "ops.key_made"},
	{route: "/ops/keys/{name}/revoke", path: "/ops/keys/till/revoke", by: "olu", event: "ops.key_revoked"},
}

// begins is why an action of long work has no event yet: the audit gets one when the work has ended, and the page says how it went.
const begins = "it begins work that its page shows"

// withoutEvent are the actions that become no event at once, and why.
var withoutEvent = map[string]string{"/ops/payments/check": begins, "/ops/system/verify": begins, "/ops/system/lists/compare": begins, "/ops/system/lists/rebuild": begins,
	"/ops/system/repair/compare": begins, "/ops/system/repair/restore": begins, "/ops/system/copies/backup": begins, "/ops/system/copies/state": begins,
	"/ops/system/topology": "it changes the broker, and its page shows what"}

// The result of every action links to the event that the action became, which says who, from where and why. An action that is added
// to the console must be added here.
func TestTheResultOfEveryActionLinksToItsEvent(t *testing.T) {
	t.Parallel()
	g := openEverything(t)
	clients := map[string]*http.Client{"mira": g.Client, "olu": g.signIn("olu")}
	tested := map[string]bool{}
	for _, action := range consoleActions {
		tested[action.route] = true
		if action.by == "" {
			action.by = "mira"
		}
		g.Client = clients[action.by]
		g.carryOut(action)
	}
	for _, route := range actionRoutes(t) {
		if !tested[route] && withoutEvent[route] == "" {
			t.Errorf("the action %s is not in this test: want a link to its event", route)
		}
	}
}

// carryOut carries out an action and checks the event to which its result links.
func (g *goods) carryOut(action consoleAction) {
	g.t.Helper()
	form, err := url.ParseQuery(action.form)
	if err != nil {
		g.t.Fatal(err)
	}
	form.Set("reason", "because of "+action.route)
	path := action.path
	if path == "" {
		path = action.route
	}
	if strings.Contains(path, "REPLAY") {
		id, _ := events.ParseSubject(events.PrefixReplay, g.newest("ops.replay_requested").Subject)
		path = strings.Replace(path, "REPLAY", id, 1)
	}
	if strings.Contains(path, "FAILED") {
		letters, err := g.Reader.DeadLetters(g.t.Context(), 0)
		if err != nil {
			g.t.Fatal(err)
		}
		path = strings.Replace(path, "FAILED", fmt.Sprint(letters[0].Sequence), 1)
	}
	if action.event == "ops.staff_totp_set" {
		secret := first(g.t, `name="secret" value="([A-Z2-7]+)"`, g.get("/ops/account/totp"))
		form.Set("secret", secret)
		form.Set("code", codeOf(g.t, secret))
	}
	page := g.sendTo(path, form)
	if action.link != "" {
		shows(g.t, page, `<a href="`+action.link)
		return
	}
	sequence, err := strconv.ParseUint(first(g.t, `<a href="/ops/events/\d+">Event (\d+)</a>`, page), 10, 64)
	if err != nil {
		g.t.Fatal(err)
	}
	m, err := g.Reader.Get(g.t.Context(), sequence)
	if err != nil {
		g.t.Fatal(err)
	}
	header := m.Header.Get
	if header(events.HeaderType) != action.event || header(events.HeaderActor) != "staff:"+action.by || header(events.HeaderVia) != "console 127.0.0.1" {
		g.t.Errorf("%s: got event %d %s of %s (%s), want %s of %s (console 127.0.0.1)", path, sequence, header(events.HeaderType), header(events.HeaderActor),
			header(events.HeaderVia), action.event, action.by)
	}
}

// sendTo posts a form and returns the page with the result, to which the action leads or which it is.
func (w *world) sendTo(path string, form url.Values) string {
	w.t.Helper()
	answer, body := w.send(w.Client, http.MethodPost, path, form)
	if answer.StatusCode == http.StatusSeeOther {
		return w.get(answer.Header.Get("Location"))
	}
	return body
}

// first returns the first group of a pattern in a page.
func first(t testing.TB, pattern, page string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("the page lacks %s:\n%s", pattern, page)
	}
	return found[1]
}

// codeOf returns the present code of an authenticator app (RFC 6238).
func codeOf(t testing.TB, secret string) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30))) // a hash never fails
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%1_000_000)
}

// actionRoutes returns the routes of all actions, from the source of the console.
func actionRoutes(t testing.TB) (routes []string) {
	t.Helper()
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`mux\.Handle\("POST ([^"]+)", c\.(?:act|reveal)\(`).FindAllSubmatch(source, -1) {
			routes = append(routes, string(found[1]))
		}
	}
	if len(routes) < len(consoleActions) {
		t.Fatalf("got %d routes of actions in the source, want at least %d", len(routes), len(consoleActions))
	}
	return routes
}
