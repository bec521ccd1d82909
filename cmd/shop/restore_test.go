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

// disaster is a shop whose bank and mail server survive the loss of its data, as Stripe and a mail provider do.
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
		c.SMTPURL, c.SweepEvery = "smtp://"+box.Addr()+"?tls=none", time.Second // so that the reconciler asks the bank soon
		d.bank.configure(c)
	})
	d.open(t)
	return d
}

func (d *disaster) open(t *testing.T) {
	t.Helper()
	d.testShop = openShop(t, d.config)
	d.bank.sendWebhooksTo(t, d.testShop)
}

// backUp does what ops backup does.
func (d *disaster) backUp(t *testing.T) (dir string, cut uint64) {
	t.Helper()
	secrets, err := d.Secrets()
	if err != nil {
		t.Fatal(err)
	}
	db, closeDB, err := d.Database(t.Context())
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

// restore does what ops restore does, into a new data directory, and returns the messages of the restored log.
func (d *disaster) restore(t *testing.T, dir string) map[uint64]string {
	t.Helper()
	d.config.Data, d.config.Closed = t.TempDir(), true
	ts := openShop(t, d.config)
	defer ts.close(t)
	d.config.Closed = false
	if _, err := os.Stat(filepath.Join(d.config.Data, target.SecretsFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a closed shop wrote secrets (%v), want none", err)
	}
	kept, err := backup.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	db, closeDB, err := ts.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB()
	if _, err := (replay.Restore{Backup: kept, DB: db, Log: ts.log, Secrets: ts.Shop.KeepSecrets}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ts.messages(t, 0)
}

// messages returns the messages of the log up to a sequence (0: all), as text, by sequence.
func (ts *testShop) messages(t *testing.T, to uint64) map[uint64]string {
	t.Helper()
	all := map[uint64]string{}
	err := ts.log.Each(t.Context(), replay.Range{To: to}, func(e replay.Message) error {
		all[e.Sequence] = strings.Join([]string{e.Subject, e.Header.Get(events.HeaderID), e.Header.Get(events.HeaderRevision), string(e.Data)}, " ")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// placed returns the ids of the orders that were placed up to a sequence, and after it.
func (ts *testShop) placed(t *testing.T, cut uint64) (before, after []string) {
	t.Helper()
	for _, e := range ts.history(t, events.PrefixOrder+"*") {
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

// sent returns the Message-IDs of the e-mails that the log records as sent, up to a sequence.
func (ts *testShop) sent(t *testing.T, cut uint64) (ids []string) {
	t.Helper()
	for _, e := range ts.history(t, events.PrefixNotification+"*") {
		if p, ok := e.Payload.(events.MessageSent); ok && e.Sequence <= cut {
			ids = append(ids, p.MessageID)
		}
	}
	return ids
}

// copies returns how often the mail server got an e-mail.
func (d *disaster) copies(messageID string) (n int) {
	for _, m := range d.box.Messages("") {
		if strings.Trim(m.MessageID, "<>") == messageID {
			n++
		}
	}
	return n
}

// captured returns the orders for which the bank has captured money.
func (d *disaster) captured(t *testing.T) (ids []string) {
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

// verifyRestored does what ops verify does. It accepts one kind of finding: captured payments of orders that were placed after
// the backup. The restored shop does not have these orders, and staff must refund them.
func (d *disaster) verifyRestored(t *testing.T, acknowledged, unknown []string) {
	t.Helper()
	options, done, err := invariants.Attach(t.Context(), d.Shop)
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
			t.Errorf("invariant does not hold: %+v", f)
		}
	}
}

// sellsDuring has shoppers buy before, during and after a backup, and returns the orders that were acknowledged before it.
func (d *disaster) sellsDuring(t *testing.T, backUp func()) (acknowledged []string) {
	t.Helper()
	const shoppers, some = 3, 6
	r := rush{enough: make(chan struct{}), want: some}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var crowd sync.WaitGroup
	for i := range shoppers {
		crowd.Go(func() { r.shop(ctx, d.testShop, i) })
	}
	waitFor(t, "orders are placed", func() bool { return len(r.acknowledged()) >= some })
	acknowledged = r.acknowledged()
	backUp()
	during := len(r.acknowledged())
	waitFor(t, "more orders are placed", func() bool { return len(r.acknowledged()) >= during+some })
	stop()
	crowd.Wait()
	return acknowledged
}

// A backup is taken while shoppers buy, then the data directory with log, database and secrets is lost. After the restore, the
// log equals the original up to the backup, event by event. Every order acknowledged before exists and opens with its token.
// Charges and e-mails in the backup are not repeated. Later payments of orders in the backup are found at the bank. The shop
// sells again.
func TestRestoreKeepsOrdersPaymentsAndMails(t *testing.T) {
	t.Parallel()
	d := newDisaster(t)
	d.list(t, "MUG", 1250, 100_000)
	bought, late := d.buy(t, cart("ada", line{"MUG", 1})), d.place(t, cart("eve", line{"MUG", 2}))
	d.checkout(t, late)
	waitFor(t, "ada has her e-mail", func() bool { return len(d.box.Messages(bought.Email)) == 1 })

	var dir string
	var cut uint64
	acknowledged := d.sellsDuring(t, func() { dir, cut = d.backUp(t) })
	d.settle(t, late) // paid after the backup
	known, unknown := d.placed(t, cut)
	before, sent := d.messages(t, cut), d.sent(t, cut)
	for _, id := range append(acknowledged, bought.ID, late.ID) {
		if !slices.Contains(known, id) {
			t.Errorf("order %s was acknowledged before the backup, which lacks it", id)
		}
	}
	if len(unknown) == 0 || len(sent) == 0 {
		t.Fatalf("%d orders after the backup and %d e-mails in it, want some of both", len(unknown), len(sent))
	}
	d.close(t)
	if err := os.RemoveAll(d.config.Data); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(before, d.restore(t, dir)); diff != "" {
		t.Fatalf("the log up to %d (-before +after):\n%s", cut, diff)
	}
	d.open(t)
	if now := d.read(t, bought); now.Status != "confirmed" {
		t.Errorf("order status after the restore = %q, want confirmed", now.Status)
	}
	captured := d.captured(t)
	for _, id := range known {
		if slices.Contains(captured, id) {
			d.ends(t, id, events.OrderConfirmed{}.EventType())
		}
	}
	next := d.buy(t, cart("fay", line{"MUG", 1}))
	for _, o := range []order{bought, late, next} {
		d.charged(t, o)
	}
	// The lane sends e-mails in the order of the log: any that it sends again come before this one.
	waitFor(t, "fay has her e-mail", func() bool { return len(d.box.Messages(next.Email)) == 1 })
	for _, id := range sent {
		if n := d.copies(id); n != 1 {
			t.Errorf("e-mail %s was sent %d times, want once", id, n)
		}
	}
	d.verifyRestored(t, append(known, next.ID), unknown)
}

// ends waits until the last event of an order has a type.
func (ts *testShop) ends(t *testing.T, id, eventType string) {
	t.Helper()
	waitFor(t, "order "+id+" ends with "+eventType, func() bool {
		all := ts.history(t, events.PrefixOrder+id)
		return len(all) > 0 && all[len(all)-1].Type == eventType
	})
}
