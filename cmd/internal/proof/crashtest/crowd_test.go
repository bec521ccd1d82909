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

// crowd is everybody who has come to one world.
type crowd struct {
	world    *world
	prefix   string // of their names
	ctx      context.Context
	client   *http.Client
	shoppers []*shopper
	taken    atomic.Int64 // orders answered 201
}

// openDoors fills the shelves and lets shoppers in. They have gone when the test ends.
func openDoors(t *testing.T, w *world, prefix string) *crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{world: w, prefix: prefix, ctx: ctx, client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}}
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
		a, err := c.newShopper(pays).ask(t.Context(), wish{method: http.MethodPut, url: w.shop.Ops + "/ops/api/items/" + sku, bearer: w.shop.OpsToken,
			kind: "application/json", body: body})
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("list %s: %d %.300s %v", sku, a.status, a.body, err)
		}
	}
	return c
}

func (c *crowd) newShopper(i intention) *shopper {
	return &shopper{intention: i, world: c.world, name: fmt.Sprintf("%s-%d", c.prefix, len(c.shoppers)+1), client: c.client,
		taken: &c.taken, done: make(chan struct{})}
}

// enter sends somebody shopping.
func (c *crowd) enter(i intention) *shopper {
	s := c.newShopper(i)
	c.shoppers = append(c.shoppers, s)
	go s.visit(c.ctx)
	return s
}

// streamIn sends shoppers, ever more slowly, until something has happened. It reports whether it has in time.
func (c *crowd) streamIn(until func() bool, within time.Duration) bool {
	for _, i := range []intention{pays, leaves, declined, pays} {
		c.enter(i)
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	wait, give := 300*time.Millisecond, time.After(within)
	next := time.After(wait)
	for n := 0; !until(); {
		select {
		case <-give:
			return false
		case <-next:
			if n++; n%4 == 0 {
				c.enter(leaves)
			} else {
				c.enter(pays)
			}
			wait = min(wait*5/4, 3*time.Second)
			next = time.After(wait)
		case <-ticker.C:
		}
	}
	return true
}

// waitFor waits for shoppers to leave, and says what they complain about. Who wants to pay gets the goods, whatever is
// done to the shop meanwhile: an order that somebody has forgotten ends, too, when its time is up, but not confirmed.
func (c *crowd) waitFor(t *testing.T, shoppers []*shopper) {
	t.Helper()
	for _, s := range shoppers {
		<-s.done // it gives up in time
		if s.heard {
			continue
		}
		s.heard = true
		ends := map[intention]string{pays: "confirmed", declined: "expired", leaves: "expired"}
		switch {
		case s.err != nil:
			t.Errorf("%s (%s) was let down: %v", s.name, s.intention, s.err)
		case s.end != ends[s.intention]:
			t.Errorf("%s (%s) sees order %s %s, want it %s", s.name, s.intention, s.id, s.end, ends[s.intention])
		}
	}
}

// mailed waits until everybody has got one mail about the order. A mail server that took a mail whose sender was killed
// before it knew may have it again, under one Message-ID.
func (c *crowd) mailed(t *testing.T) {
	t.Helper()
	var got map[string]map[string]int
	missing := func() (names []string) {
		for _, s := range c.shoppers {
			if s.id != "" && len(got[s.address()]) == 0 {
				names = append(names, s.name)
			}
		}
		return names
	}
	proc.WaitFor(t, "everybody has a mail", 90*time.Second, func() bool {
		got = c.mails(t)
		return len(missing()) == 0
	})
	for _, s := range c.shoppers {
		if len(got[s.address()]) > 1 {
			t.Errorf("%s got different mails: %v", s.name, got[s.address()])
		}
	}
}

// mails counts the mailbox: by recipient, by Message-ID.
func (c *crowd) mails(t *testing.T) map[string]map[string]int {
	t.Helper()
	a, err := c.newShopper(pays).ask(t.Context(), wish{method: http.MethodGet, url: c.world.shop.Mail + "/mail/messages"})
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
	by := map[string]map[string]int{}
	for _, m := range box.Messages {
		if by[m.To] == nil {
			by[m.To] = map[string]int{}
		}
		by[m.To][m.MessageID]++
	}
	return by
}

// acknowledged are the orders that were answered 201 to those who have left.
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

// payers are those of the shoppers who do not stay until their time is up.
func payers(shoppers []*shopper) (found []*shopper) {
	for _, s := range shoppers {
		if s.intention == pays {
			found = append(found, s)
		}
	}
	return found
}
