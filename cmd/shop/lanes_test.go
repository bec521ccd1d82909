package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/project"
	"tillstream/events/replay"
	"tillstream/notifications/inbox"
)

// While operators pause the projections, even over a restart, orders are confirmed and e-mails sent. Staff's list has these orders at
// once, because it is computed from the log; the projections have them once they are resumed.
func TestShopSellsWhileProjectionsArePaused(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	ts := openShop(t, config)
	ts.list(t, "MUG", 1250, 10)
	before := ts.buy(t, cart("ada", line{"MUG", 1}))
	waitFor(t, "the first order is listed and projected", func() bool {
		return ts.isListed(t, listed{before.ID, "confirmed"}) && slices.Contains(ts.projected(t, "orders"), before.ID) && slices.Contains(ts.projected(t, "payments"), events.FirstPaymentID(before.ID))
	})
	if paused, err := ts.log.Pause(t.Context(), []string{replay.Projections}, replay.UntilResumed, events.Author{Actor: "key:ops"}); err != nil || len(paused) != 2 {
		t.Fatalf("Pause() = %+v, %v", paused, err)
	}
	var bought []string
	for _, who := range []string{"bob", "cleo"} {
		bought = append(bought, ts.buy(t, cart(who, line{"MUG", 2})).ID)
		ts.mailed(t, who+"@example.com", 1)
	}
	ts.close(t)
	ts = openShop(t, config)
	bought = append(bought, ts.buy(t, cart("dora", line{"MUG", 2})).ID)
	ts.stockBecomes(t, "MUG", level{3, 3, 0})
	ts.onlyListed(t, before.ID, bought)
	if ts.backlog(t) == 0 {
		t.Error("backlog = 0 while the projections are paused, want events")
	}
	if _, err := ts.log.Resume(t.Context(), []string{replay.Projections}, events.Author{Actor: "key:ops"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range bought {
		waitFor(t, "the orders placed meanwhile are projected", func() bool {
			return ts.isListed(t, listed{id, "confirmed"}) && slices.Contains(ts.projected(t, "orders"), id) && slices.Contains(ts.projected(t, "payments"), events.FirstPaymentID(id))
		})
	}
	waitFor(t, "the projections have caught up", func() bool { return ts.backlog(t) == 0 })
	ts.verify(t, append(bought, before.ID)...)
}

// onlyListed fails unless staff's lists have an order and those bought after it, while the projections have the first one only.
func (ts *testShop) onlyListed(t *testing.T, first string, bought []string) {
	t.Helper()
	want := []listed{{first, "confirmed"}}
	for _, id := range bought {
		want = slices.Insert(want, 0, listed{id, "confirmed"})
	}
	waitFor(t, "the last order is listed", func() bool { return ts.isListed(t, want[0]) })
	if diff := cmp.Diff(want, ts.staffsList(t)); diff != "" {
		t.Errorf("staff's list while the projections are paused (-want +got):\n%s", diff)
	}
	paid := ts.paymentsList(t)
	slices.Sort(paid)
	if diff := cmp.Diff(slices.Sorted(slices.Values(append([]string{first}, bought...))), paid); diff != "" {
		t.Errorf("orders on staff's list of payments while the projections are paused (-want +got):\n%s", diff)
	}
	for collection, id := range map[string]string{"orders": first, "payments": events.FirstPaymentID(first)} {
		if diff := cmp.Diff([]string{id}, ts.projected(t, collection)); diff != "" {
			t.Errorf("projection of %s while it is paused (-want +got):\n%s", collection, diff)
		}
	}
}

// projected returns the ids of the documents in a collection.
func (ts *testShop) projected(t *testing.T, collection string) (ids []string) {
	t.Helper()
	db, err := project.Connect(t.Context(), ts.MongoDB)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Client().Disconnect(t.Context()) }() // it has only read
	found, err := db.Collection(collection).Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		ID string `bson:"_id"`
	}
	if err := found.All(t.Context(), &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

// paymentsList returns the orders on staff's list of payments, newest first.
func (ts *testShop) paymentsList(t *testing.T) (orders []string) {
	t.Helper()
	var list struct {
		Payments []struct {
			OrderID string `json:"order_id"`
		} `json:"payments"`
	}
	ts.staff(t, http.MethodGet, "/payments", nil, &list)
	for _, p := range list.Payments {
		orders = append(orders, p.OrderID)
	}
	return orders
}

// pause pauses a lane until it is resumed.
func (ts *testShop) pause(t *testing.T, lane string) {
	t.Helper()
	if paused, err := ts.log.Pause(t.Context(), []string{lane}, replay.UntilResumed, events.Author{Actor: "key:ops"}); err != nil || len(paused) != 1 || !paused[0].Paused {
		t.Fatalf("Pause() = %+v, %v", paused, err)
	}
}

// listed is an order on staff's list.
type listed struct{ ID, Status string }

// staffsList returns staff's list of orders, newest first.
func (ts *testShop) staffsList(t *testing.T) []listed {
	t.Helper()
	var list struct {
		Orders []listed `json:"orders"`
	}
	ts.staff(t, http.MethodGet, "/orders", nil, &list)
	return list.Orders
}

func (ts *testShop) isListed(t *testing.T, want listed) bool {
	t.Helper()
	return slices.Contains(ts.staffsList(t), want)
}

// A shop with a paused lane or an open circuit can sell, so it stays ready. Readiness reports it as degraded, with the lane's
// name and the reason, for operators.
func TestReadinessReportsPausedLanesAndOpenCircuits(t *testing.T) {
	t.Parallel()
	t.Run("Paused", func(t *testing.T) { t.Parallel(); readyWhilePaused(t) })
	t.Run("CircuitOpen", func(t *testing.T) { t.Parallel(); readyWithOpenCircuit(t) })
}

func readyWhilePaused(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	ts.readinessBecomes(t, "ready")
	ts.pause(t, "notifications.mail")
	ts.readinessBecomes(t, "degraded", "notifications.mail", "paused until it is resumed")
	bought := ts.buy(t, cart("ada", line{"MUG", 1}))
	if got := ts.mails(t, bought.Email); len(got) > 0 {
		t.Errorf("a paused lane sent %d e-mails, want 0", len(got))
	}
	if _, err := ts.log.Resume(t.Context(), []string{"notifications.mail"}, events.Author{Actor: "key:ops"}); err != nil {
		t.Fatal(err)
	}
	ts.readinessBecomes(t, "ready")
	ts.mailed(t, bought.Email, 1)
}

// A mail server that refuses every e-mail opens the circuit of the mail lane while the shop sells. The name in the EHLO
// command is the configured one.
func readyWithOpenCircuit(t *testing.T) {
	box, err := inbox.Start(inbox.Config{Addr: anyPort, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Stop)
	box.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
		if at == inbox.StageMail {
			return inbox.Refuse(550, "5.7.1 Sender address rejected: not owned by user")
		}
		return nil
	})
	proxy := startWiretap(t, box.Addr())
	ts := startShop(t, func(c *Config) { c.SMTPURL, c.SMTPEHLO = "smtp://"+proxy.addr+"?tls=none", "till.shop.example" })
	ts.list(t, "MUG", 1250, 10)
	ts.readinessBecomes(t, "ready")
	bought := ts.buy(t, cart("ada", line{"MUG", 1}))
	ts.readinessBecomes(t, "degraded", "notifications.mail", "circuit open", "550")
	if got := proxy.greeting(); got != "EHLO till.shop.example" {
		t.Errorf("first command = %q, want EHLO till.shop.example", got)
	}
	ts.buy(t, cart("bob", line{"MUG", 1})) // needs no e-mail to be confirmed
	waitFor(t, "the lane's status has the reason", func() bool {
		lanes, err := ts.log.NamedLanes(t.Context(), []string{"notifications.mail"})
		return err == nil && strings.Contains(lanes[0].CircuitOpen, "550")
	})
	box.Intercept(nil)
	ts.readinessBecomes(t, "ready")
	waitFor(t, "both shoppers have their e-mail", func() bool {
		return len(box.Messages(bought.Email)) == 1 && len(box.Messages("bob@example.com")) == 1
	})
}

// readinessBecomes waits until /readyz reports a status and a reason with all these words. It must answer 200 all the time.
func (ts *testShop) readinessBecomes(t *testing.T, status string, reason ...string) {
	t.Helper()
	waitFor(t, "the shop is "+status, func() bool {
		var now struct{ Status, Reason string }
		ts.get(t, "/readyz", "").into(t, http.StatusOK, &now)
		for _, words := range reason {
			if !strings.Contains(now.Reason, words) {
				return false
			}
		}
		return now.Status == status && (len(reason) > 0 || now.Reason == "")
	})
}

// wiretap is a proxy of a mail server that records the first EHLO command.
type wiretap struct {
	addr string

	mu   sync.Mutex
	ehlo string
}

func startWiretap(t *testing.T, server string) *wiretap {
	t.Helper()
	listener, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	w := &wiretap{addr: listener.Addr().String()}
	var calls sync.WaitGroup
	calls.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			calls.Go(func() { w.connect(client, server) })
		}
	})
	t.Cleanup(func() { // the shop has stopped by then
		_ = listener.Close()
		calls.Wait()
	})
	return w
}

// connect forwards one connection until both sides have closed it.
func (w *wiretap) connect(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() { _, _ = io.Copy(client, server) })
	commands := bufio.NewReader(client)
	first, _ := commands.ReadString('\n')
	w.mu.Lock()
	if w.ehlo == "" {
		w.ehlo = strings.TrimSpace(first)
	}
	w.mu.Unlock()
	if _, err := io.WriteString(server, first); err == nil {
		_, _ = io.Copy(server, commands)
	}
	_ = server.Close()
	answers.Wait()
}

func (w *wiretap) greeting() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ehlo
}
