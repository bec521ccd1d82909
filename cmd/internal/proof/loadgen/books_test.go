package loadgen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/events"
	"tillstream/events/embedded"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// bookkeeping is what a run leaves behind in log, database and at Stripe.
type bookkeeping struct {
	log  *log.Log
	read *replay.Reader
	db   *mongo.Database
	uri  string // of db
	shop *fakeShop
}

func newBookkeeping(t *testing.T) bookkeeping {
	t.Helper()
	broker := logtest.Server(t)
	b := bookkeeping{log: logtest.OpenOn(t, broker), shop: newFakeShop(t)}
	var err error
	if b.read, err = replay.Open(t.Context(), logtest.Connect(t, broker)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.read.Close)
	database, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Stop)
	b.uri = database.URI()
	if b.db, err = project.Connect(t.Context(), database.URI()); err != nil {
		t.Fatal(err)
	}
	b.shop.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/payment_intents" {
			return false
		}
		b.intents(w, r)
		return true
	}
	return b
}

// intents lists one intent a page: the two of this run, one of somebody else's and one that was never paid.
func (b bookkeeping) intents(w http.ResponseWriter, r *http.Request) {
	all := []string{
		`{"id":"pi_4","amount_received":0,"currency":"gbp","metadata":{"order_id":"one"}}`,
		`{"id":"pi_3","amount_received":5000,"currency":"gbp","metadata":{"order_id":"stranger"}}`,
		`{"id":"pi_2","amount_received":2150,"currency":"gbp","metadata":{"order_id":"two"}}`,
		`{"id":"pi_1","amount_received":3350,"currency":"gbp","metadata":{"order_id":"one"}}`,
	}
	at := 0
	for i, in := range all {
		if strings.Contains(in, `"`+r.URL.Query().Get("starting_after")+`"`) {
			at = i + 1
		}
	}
	if r.Header.Get("Authorization") != "Bearer sk_test" || r.URL.Query().Get("created[gte]") == "" {
		problem(w, http.StatusUnauthorized, "who is there, and since when?")
		return
	}
	fmt.Fprintf(w, `{"data":[%s],"has_more":%v}`, all[at], at < len(all)-1)
}

func (b bookkeeping) store(ctx context.Context, id, status string, goods, revenue int64, lines ...events.OrderLine) error {
	doc := project.Document{ID: id, Seq: 1, Doc: bson.M{"status": status, "lines": lines, "subtotal": pence(goods), "total": pence(revenue)}}
	_, err := b.db.Collection("orders").InsertOne(ctx, doc)
	return err
}

func (b bookkeeping) sell(ctx context.Context, orderID string, lines ...loadgen.Line) error {
	return b.log.Do(ctx, func(tx *log.Tx) error {
		for _, line := range lines {
			subject, err := events.Subject(events.PrefixStock, line.SKU)
			if err != nil {
				return err
			}
			sold := events.StockMovement{Location: events.LocationMain, SKU: line.SKU, Quantity: line.Quantity, OrderID: orderID}
			if err := (log.Journal{Subject: subject}).Append(tx, events.StockHeld{StockMovement: sold}, events.StockCommitted{StockMovement: sold}); err != nil {
				return err
			}
		}
		return nil
	})
}

// must stops the test at the first error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func purchase(id string, goods, revenue int64, skus ...string) loadgen.Purchase {
	p := loadgen.Purchase{Order: loadgen.Order{ID: id, Subtotal: pence(goods), Total: pence(revenue)}}
	for _, sku := range skus {
		p.Basket.Lines = append(p.Basket.Lines, loadgen.Line{SKU: sku})
	}
	return p
}

const twoInvoices = `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,10001,MUG,10,1/12/2010,1.25,,United Kingdom
1,10002A,LAMP,2,1/12/2010,9.95,,United Kingdom
2,10003,STAR,100,1/12/2010,0.21,,United Kingdom
`

func (b bookkeeping) sums(t *testing.T, after uint64, patience time.Duration) []loadgen.Sum {
	t.Helper()
	var books loadgen.Books
	books.Observe(purchase("one", 3300, 3350, "10001", "10002A"))
	books.Observe(purchase("two", 2100, 2150, "10003"))
	books.Observe(loadgen.Purchase{}) // was not placed
	at := loadgen.Addresses{Storefront: b.shop.server.URL, Stripe: b.shop.server.URL, SecretKey: "sk_test"}
	sums, err := books.Sums(t.Context(), loadgen.Evidence{File: strings.NewReader(twoInvoices), Prices: prices, Database: b.db, Log: b.read,
		Shop: loadgen.NewShop(at, 1, false), LogFrom: after, Since: time.Now(), Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// TestFourSumsAgree: only this run's orders count, and the readers wait for what is still on its way.
func TestFourSumsAgree(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	must(t, b.sell(t.Context(), "two", loadgen.Line{SKU: "10003", Quantity: 7})) // before the run, so it is somebody else's
	after, err := b.read.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	must(t, b.store(t.Context(), "one", "confirmed", 3300, 3350, events.OrderLine{SKU: "10001", Quantity: 10}, events.OrderLine{SKU: "10002A", Quantity: 2}))
	must(t, b.store(t.Context(), "stranger", "confirmed", 5000, 5000, events.OrderLine{SKU: "10001", Quantity: 9}))
	must(t, b.sell(t.Context(), "one", loadgen.Line{SKU: "10001", Quantity: 10}, loadgen.Line{SKU: "10002A", Quantity: 2}))
	must(t, b.sell(t.Context(), "stranger", loadgen.Line{SKU: "10001", Quantity: 9}))
	behind := make(chan error, 1)
	go func() { // the second order's books are behind
		behind <- errors.Join(b.store(t.Context(), "two", "confirmed", 2100, 2150, events.OrderLine{SKU: "10003", Quantity: 100}),
			b.sell(t.Context(), "two", loadgen.Line{SKU: "10003", Quantity: 100}))
	}()
	sums := b.sums(t, after, 20*time.Second)
	must(t, <-behind)

	units := map[string]int64{"10001": 10, "10002A": 2, "10003": 100}
	want := []loadgen.Sum{
		{Source: "file at catalogue prices", Orders: 2, Units: units, Goods: pence(5400), Revenue: pence(5500)},
		{Source: "orders collection", Orders: 2, Units: units, Goods: pence(5400), Revenue: pence(5500)},
		{Source: "payments at Stripe", Orders: 2, Revenue: pence(5500)},
		{Source: "stock ledger", Orders: 2, Units: units, Goods: pence(5400)},
	}
	if diff := cmp.Diff(want, sums); diff != "" {
		t.Error(diff)
	}
	if differences := loadgen.Compare(sums); len(differences) > 0 {
		t.Errorf("got %v", differences)
	}
}

// TestSumsThatDiffer: an order that is not confirmed and a line that was booked twice are seen, and named in the table.
func TestSumsThatDiffer(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	must(t, b.store(t.Context(), "one", "confirmed", 3300, 3350, events.OrderLine{SKU: "10001", Quantity: 10}, events.OrderLine{SKU: "10002A", Quantity: 2}))
	must(t, b.store(t.Context(), "two", "capturing", 2100, 2150, events.OrderLine{SKU: "10003", Quantity: 100}))
	must(t, b.sell(t.Context(), "one", loadgen.Line{SKU: "10001", Quantity: 10}, loadgen.Line{SKU: "10002A", Quantity: 2}))
	must(t, b.sell(t.Context(), "two", loadgen.Line{SKU: "10003", Quantity: 100}))
	must(t, b.sell(t.Context(), "two", loadgen.Line{SKU: "10003", Quantity: 100}))
	sums := b.sums(t, 0, 50*time.Millisecond)
	var text bytes.Buffer
	if err := loadgen.WriteSums(&text, sums, loadgen.Compare(sums)); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"orders collection says 1 orders, the file at catalogue prices says 2",
		"orders collection says 0 units of 10003, the file at catalogue prices says 100",
		"orders collection says 33.50 GBP revenue, the file at catalogue prices says 55.00 GBP",
		"stock ledger says 200 units of 10003, the file at catalogue prices says 100",
		"stock ledger says 75.00 GBP goods, the file at catalogue prices says 54.00 GBP",
	} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the table does not say %q:\n%s", part, &text)
		}
	}
}
