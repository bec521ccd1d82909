package main

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/backup"
	"tillstream/events/replay"
	"tillstream/notifications/inbox"
)

// disaster is a shop whose bank and mail server outlive it, as Stripe and a provider do.
type disaster struct {
	*testShop
	bank   *bank
	box    *inbox.Inbox
	config Config
}

func newDisaster(t *testing.T) *disaster {
	t.Helper()
	box, err := inbox.Start(inbox.Config{Addr: anyPort, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Stop)
	d := &disaster{bank: startBank(t), box: box}
	d.config = testConfig(t, func(c *Config) {
		c.SMTPURL, c.SweepEvery = "smtp://"+box.Addr()+"?tls=none", time.Second // so that the reconciler asks the bank at once
		d.bank.takeMoneyFor(c)
	})
	d.open(t)
	return d
}

func (d *disaster) open(t *testing.T) {
	t.Helper()
	d.testShop = openShop(t, d.config)
	d.bank.tell(t, d.testShop)
}

// backUp does what ops backup does.
func (d *disaster) backUp(t *testing.T) (dir string, cut uint64) {
	t.Helper()
	secrets, err := d.asAttached().Secrets()
	if err != nil {
		t.Fatal(err)
	}
	db, closeDB, err := d.asAttached().Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB()
	dir = filepath.Join(t.TempDir(), "backup")
	report, err := replay.Backup{DB: db, Dir: dir, Log: d.log, Secrets: secrets}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dir, report.Cut
}

// restore does what ops restore does, into a new data directory, and returns what the log then holds.
func (d *disaster) restore(t *testing.T, dir string) map[uint64]string {
	t.Helper()
	d.config.Data, d.config.Closed = t.TempDir(), true
	m := openShop(t, d.config)
	defer m.close(t)
	d.config.Closed = false
	if _, err := os.Stat(filepath.Join(d.config.Data, target.SecretsFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a closed shop has made secrets of its own: %v", err)
	}
	kept, err := backup.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	db, closeDB, err := m.asAttached().Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB()
	if _, err := (replay.Restore{Backup: kept, DB: db, Log: m.log, Secrets: m.asAttached().KeepSecrets}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m.messages(t, 0)
}

// messages is what the log holds up to a sequence (0: its end), in words, by sequence.
func (m *testShop) messages(t *testing.T, to uint64) map[uint64]string {
	t.Helper()
	all := map[uint64]string{}
	err := m.log.Each(t.Context(), replay.Range{To: to}, func(e replay.Message) error {
		all[e.Sequence] = strings.Join([]string{e.Subject, e.Header.Get(events.HeaderID), e.Header.Get(events.HeaderRevision), string(e.Data)}, " ")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// placed returns the ids of the orders that were placed up to a sequence, and after it.
func (m *testShop) placed(t *testing.T, cut uint64) (before, after []string) {
	t.Helper()
	for _, e := range m.history(t, events.PrefixOrder+"*") {
		switch p, ok := e.Payload.(events.OrderPlaced); {
		case !ok:
		case e.Sequence <= cut:
			before = append(before, p.OrderID)
		default:
			after = append(after, p.OrderID)
		}
	}
	return before, after
}

// sent returns the Message-IDs of the mails that the log knows to be sent.
func (m *testShop) sent(t *testing.T, cut uint64) (ids []string) {
	t.Helper()
	for _, e := range m.history(t, events.PrefixNotification+"*") {
		if p, ok := e.Payload.(events.MessageSent); ok && e.Sequence <= cut {
			ids = append(ids, p.MessageID)
		}
	}
	return ids
}

// copies is how often the mail server has been given a mail.
func (d *disaster) copies(messageID string) (n int) {
	for _, m := range d.box.Messages("") {
		if strings.Trim(m.MessageID, "<>") == messageID {
			n++
		}
	}
	return n
}

// taken returns the orders for which the bank took money.
func (d *disaster) taken(t *testing.T) (ids []string) {
	t.Helper()
	for after, more := "", true; more; {
		var page struct {
			Data    []intent `json:"data"`
			HasMore bool     `json:"has_more"`
		}
		query := url.Values{"limit": {"100"}}
		if after != "" {
			query.Set("starting_after", after)
		}
		d.stripe(t, http.MethodGet, "/v1/payment_intents?"+query.Encode(), d.StripeSecretKey, nil).into(t, http.StatusOK, &page)
		for _, in := range page.Data {
			after = in.ID
			if in.AmountReceived > 0 {
				ids = append(ids, in.Metadata["order_id"])
			}
		}
		more = page.HasMore
	}
	return ids
}

// keepsItsPromises is ops verify. What it may find is money at the bank for orders that were placed after the backup was
// taken: the shop does not know them, and staff must.
func (d *disaster) keepsItsPromises(t *testing.T, acknowledged, unknown []string) {
	t.Helper()
	options, done, err := invariants.Attach(t.Context(), d.asAttached())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	options.Acknowledged = acknowledged
	report, err := invariants.Check(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		id := strings.TrimPrefix(f.Subject, "order ")
		if !slices.Contains(unknown, id) || !strings.HasPrefix(f.Detail, "is not in the log, and Stripe took") {
			t.Errorf("a promise is broken: %+v", f)
		}
	}
}

// sellsDuring has shoppers buy before, while and after a backup is taken, and returns the orders that were acknowledged
// before.
func (d *disaster) sellsDuring(t *testing.T, backUp func()) (acknowledged []string) {
	t.Helper()
	const shoppers, some = 3, 6
	r := rush{enough: make(chan struct{}), want: some}
	ctx, goHome := context.WithCancel(t.Context())
	defer goHome()
	var crowd sync.WaitGroup
	for i := range shoppers {
		crowd.Go(func() { r.shop(ctx, d.testShop, i) })
	}
	waitFor(t, "orders are taken", func() bool { return len(r.acknowledged()) >= some })
	acknowledged = r.acknowledged()
	backUp()
	during := len(r.acknowledged())
	waitFor(t, "more orders are taken", func() bool { return len(r.acknowledged()) >= during+some })
	goHome()
	crowd.Wait()
	return acknowledged
}

// TestTheShopIsRestoredFromABackup is the drill: shoppers keep buying while a backup is taken, then the data directory is
// lost, with log, database and secrets. In a new one the log is what it was up to the backup, event for event; every order
// acknowledged before is there and opens for its customer; what the backup knows as charged or mailed is not charged or mailed again; what
// was paid later for an order that it knows is found at the bank; and selling goes on.
func TestTheShopIsRestoredFromABackup(t *testing.T) {
	t.Parallel()
	d := newDisaster(t)
	d.list(t, "MUG", 1250, 100_000)
	bought, late := d.buy(t, cart("ada", line{"MUG", 1})), d.place(t, cart("eve", line{"MUG", 2}))
	d.checkout(t, late)
	waitFor(t, "ada has her mail", func() bool { return len(d.box.Messages(bought.Email)) == 1 })

	var dir string
	var cut uint64
	acknowledged := d.sellsDuring(t, func() { dir, cut = d.backUp(t) })
	d.settle(t, late) // pays when the backup has been taken
	known, unknown := d.placed(t, cut)
	story, sent := d.messages(t, cut), d.sent(t, cut)
	for _, id := range append(acknowledged, bought.ID, late.ID) {
		if !slices.Contains(known, id) {
			t.Errorf("order %s was acknowledged before the backup and is not in it", id)
		}
	}
	if len(unknown) == 0 || len(sent) == 0 {
		t.Fatalf("%d orders came after the backup and it knows %d mails; the drill wants some", len(unknown), len(sent))
	}
	d.close(t)
	if err := os.RemoveAll(d.config.Data); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(story, d.restore(t, dir)); diff != "" {
		t.Fatalf("the log up to %d (-before +after):\n%s", cut, diff)
	}
	d.open(t)
	if now := d.read(t, bought); now.Status != "confirmed" {
		t.Errorf("the order of before is %s", now.Status)
	}
	taken := d.taken(t)
	for _, id := range known {
		if slices.Contains(taken, id) {
			d.ends(t, id, events.OrderConfirmed{}.EventType())
		}
	}
	next := d.buy(t, cart("fay", line{"MUG", 1}))
	for _, o := range []order{bought, late, next} {
		d.charged(t, o)
	}
	// The lane takes what it has to send in the order of the log: what is sent again has been by now.
	waitFor(t, "fay has her mail", func() bool { return len(d.box.Messages(next.Email)) == 1 })
	for _, id := range sent {
		if n := d.copies(id); n != 1 {
			t.Errorf("mail %s was sent %d times", id, n)
		}
	}
	d.keepsItsPromises(t, append(known, next.ID), unknown)
}

// ends waits until an order's last event is of a type.
func (m *testShop) ends(t *testing.T, id, eventType string) {
	t.Helper()
	waitFor(t, "order "+id+" ends with "+eventType, func() bool {
		all := m.history(t, events.PrefixOrder+id)
		return len(all) > 0 && all[len(all)-1].Type == eventType
	})
}
