//go:build unix

package crashtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// crowd is all shoppers of one deployment.
type crowd struct {
	deployment *deployment
	prefix     string // of the shoppers' names
	ctx        context.Context
	client     *http.Client
	shoppers   []*shopper
	accepted   atomic.Int64 // number of orders answered 201
}

// newCrowd lists two items with stock. The shoppers that are added later have left when the test ends.
func newCrowd(t *testing.T, d *deployment, prefix string) *crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{deployment: d, prefix: prefix, ctx: ctx, client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}}
	t.Cleanup(func() {
		cancel()
		for _, s := range c.shoppers {
			<-s.done
		}
		c.client.CloseIdleConnections()
	})
	for sku, price := range map[string]int{"LAMP": 6400, "MUG": 1250} {
		body, err := json.Marshal(map[string]any{"title": "A " + sku, "on_hand": 1_000_000, "price": map[string]any{"amount": price, "currency": "GBP"}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.newShopper(pays).send(t.Context(), call{method: http.MethodPut, url: d.shop.Ops + "/ops/api/items/" + sku, bearer: d.shop.OpsKey,
			contentType: "application/json", body: body})
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("list %s: got status %d %.300s %v", sku, a.status, a.body, err)
		}
	}
	return c
}

func (c *crowd) newShopper(i intention) *shopper {
	return &shopper{intention: i, deployment: c.deployment, name: fmt.Sprintf("%s-%d", c.prefix, len(c.shoppers)+1), client: c.client,
		accepted: &c.accepted, done: make(chan struct{})}
}

// add starts the visit of a shopper.
func (c *crowd) add(i intention) *shopper {
	s := c.newShopper(i)
	c.shoppers = append(c.shoppers, s)
	go s.visit(c.ctx)
	return s
}

// addUntil adds shoppers, ever more slowly, until a condition holds. It reports false if the condition does not hold in time.
func (c *crowd) addUntil(holds func() bool, within time.Duration) bool {
	for _, i := range []intention{pays, leaves, declined, returns} {
		c.add(i)
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	wait, timeout := 300*time.Millisecond, time.After(within)
	next := time.After(wait)
	for n := 0; !holds(); {
		select {
		case <-timeout:
			return false
		case <-next:
			c.add([]intention{pays, pays, returns, leaves}[n%4])
			n++
			wait = min(wait*5/4, 3*time.Second)
			next = time.After(wait)
		case <-ticker.C:
		}
	}
	return true
}

// waitFor waits for the end of visits and checks their outcome. The order of a shopper who pays must be confirmed: an order
// that a process has lost becomes final as well, but expired.
func (c *crowd) waitFor(t *testing.T, shoppers []*shopper) {
	t.Helper()
	for _, s := range shoppers {
		<-s.done // bounded by visitTimeout
		if s.checked {
			continue
		}
		s.checked = true
		ends := map[intention]string{pays: "confirmed", returns: "confirmed", declined: "expired", leaves: "expired"}
		switch {
		case s.err != nil:
			t.Errorf("%s (%s): %v", s.name, s.intention, s.err)
		case s.end != ends[s.intention]:
			t.Errorf("%s (%s): got order %s %s, want %s", s.name, s.intention, s.id, s.end, ends[s.intention])
		}
	}
}

// mailsTo is how many mails a shopper gets.
var mailsTo = map[intention]int{pays: 1, returns: 2}

// checkMail waits until every shopper who has paid has a mail about the order, and one about the refund if there was one, and expects one
// Message-ID each. A mail may arrive twice under it, when its sender was killed before it could record the result. The others are guests
// and get none.
func (c *crowd) checkMail(t *testing.T) {
	t.Helper()
	var got map[string]map[string]int
	missing := func() (names []string) {
		for _, s := range c.shoppers {
			if s.id != "" && len(got[s.address()]) < mailsTo[s.intention] {
				names = append(names, s.name)
			}
		}
		return names
	}
	proc.WaitFor(t, "every shopper who has paid has a mail", 90*time.Second, func() bool {
		got = c.mails(t)
		return len(missing()) == 0
	})
	for _, s := range c.shoppers {
		if len(got[s.address()]) > mailsTo[s.intention] {
			t.Errorf("%s (%s): got mails with the ids %v, want %d", s.name, s.intention, got[s.address()], mailsTo[s.intention])
		}
	}
}

// mails counts the mails in the mailbox, by recipient and Message-ID.
func (c *crowd) mails(t *testing.T) map[string]map[string]int {
	t.Helper()
	a, err := c.newShopper(pays).send(t.Context(), call{method: http.MethodGet, url: c.deployment.shop.Mail + "/mail/messages"})
	if err != nil {
		t.Fatal(err)
	}
	var box struct {
		Messages []struct {
			To        string `json:"to"`
			MessageID string `json:"message_id"`
		} `json:"messages"`
	}
	if err := a.into(http.StatusOK, &box); err != nil {
		t.Fatal(err)
	}
	counts := map[string]map[string]int{}
	for _, m := range box.Messages {
		if counts[m.To] == nil {
			counts[m.To] = map[string]int{}
		}
		counts[m.To][m.MessageID]++
	}
	return counts
}

// acknowledged returns the orders of ended visits that were answered 201.
func (c *crowd) acknowledged() (ids []string) {
	for _, s := range c.shoppers {
		select {
		case <-s.done:
			if s.id != "" {
				ids = append(ids, s.id)
			}
		default:
		}
	}
	return ids
}

// payers returns the shoppers whose orders are confirmed and need not expire.
func payers(shoppers []*shopper) (found []*shopper) {
	for _, s := range shoppers {
		if s.intention == pays || s.intention == returns {
			found = append(found, s)
		}
	}
	return found
}
