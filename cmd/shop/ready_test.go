package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tillstream/notifications/inbox"
)

// TestReadinessTellsOfALaneThatRests: the shop sells on while a lane is paused or on hold, so it stays ready; that somebody
// should look shows as degraded, with the lane's name and the reason.
func TestReadinessTellsOfALaneThatRests(t *testing.T) {
	t.Parallel()
	t.Run("Paused", func(t *testing.T) { t.Parallel(); readyWhilePaused(t) })
	t.Run("OnHold", func(t *testing.T) { t.Parallel(); readyWhileOnHold(t) })
}

func readyWhilePaused(t *testing.T) {
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 10)
	m.readinessBecomes(t, "ready")
	m.pause(t, "notifications.mail")
	m.readinessBecomes(t, "degraded", "notifications.mail", "paused until it is resumed")
	bought := m.buy(t, cart("ada", line{"MUG", 1}))
	if got := m.mails(t, bought.Email); len(got) > 0 {
		t.Errorf("%d mails were sent by a lane that is paused", len(got))
	}
	if _, err := m.log.Resume(t.Context(), []string{"notifications.mail"}); err != nil {
		t.Fatal(err)
	}
	m.readinessBecomes(t, "ready")
	m.mailed(t, bought.Email, 1)
}

// readyWhileOnHold: a mail server that takes nothing of the shop makes the mail lane wait, not the shop. The setting of what
// the shop calls itself reaches that server.
func readyWhileOnHold(t *testing.T) {
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
	wire := listenIn(t, box.Addr())
	m := startShop(t, func(c *Config) { c.SMTPURL, c.SMTPEHLO = "smtp://"+wire.addr+"?tls=none", "till.shop.example" })
	m.list(t, "MUG", 1250, 10)
	m.readinessBecomes(t, "ready")
	bought := m.buy(t, cart("ada", line{"MUG", 1}))
	m.readinessBecomes(t, "degraded", "notifications.mail", "on hold", "550")
	if got := wire.greeting(); got != "EHLO till.shop.example" {
		t.Errorf("the shop introduces itself with %q", got)
	}
	m.buy(t, cart("bob", line{"MUG", 1})) // which needs no mail
	waitFor(t, "operators see why the lane waits", func() bool {
		lanes, err := m.log.NamedLanes(t.Context(), []string{"notifications.mail"})
		return err == nil && strings.Contains(lanes[0].Hold, "550")
	})
	box.Intercept(nil)
	m.readinessBecomes(t, "ready")
	waitFor(t, "both get their mail", func() bool {
		return len(box.Messages(bought.Email)) == 1 && len(box.Messages("bob@example.com")) == 1
	})
}

// readinessBecomes waits until the shop is ready or degraded, as said, for a reason in which all these words stand. It is
// fit to work all the while.
func (m *testShop) readinessBecomes(t *testing.T, status string, reason ...string) {
	t.Helper()
	waitFor(t, "the shop is "+status, func() bool {
		var now struct{ Status, Reason string }
		m.get(t, "/readyz", "").into(t, http.StatusOK, &now)
		for _, words := range reason {
			if !strings.Contains(now.Reason, words) {
				return false
			}
		}
		return now.Status == status && (len(reason) > 0 || now.Reason == "")
	})
}

// wiretap passes on to a mail server what clients say, and remembers how the first one introduced itself.
type wiretap struct {
	addr string

	mu   sync.Mutex
	ehlo string
}

func listenIn(t *testing.T, server string) *wiretap {
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
	t.Cleanup(func() { // the shop, which has closed by then, has hung up
		_ = listener.Close()
		calls.Wait()
	})
	return w
}

// connect carries one call until both have hung up.
func (w *wiretap) connect(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() { _, _ = io.Copy(client, server) })
	said := bufio.NewReader(client)
	first, _ := said.ReadString('\n')
	w.mu.Lock()
	if w.ehlo == "" {
		w.ehlo = strings.TrimSpace(first)
	}
	w.mu.Unlock()
	if _, err := io.WriteString(server, first); err == nil {
		_, _ = io.Copy(server, said)
	}
	_ = server.Close()
	answers.Wait()
}

func (w *wiretap) greeting() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ehlo
}
