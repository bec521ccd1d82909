package loadgen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// bookkeeping is what a run leaves in the log, in the database and at Stripe.
type bookkeeping struct {
	log  *eventlog.Log
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

// intents lists one intent per page: two of this run, one of another order and one that was never paid.
func (b bookkeeping) intents(w http.ResponseWriter, r *http.Request) {
	all := []string{
		`{"id":"pi_4","amount_received":0,"currency":"gbp","metadata":{"order_id":"one"}}`,
		`{"id":"pi_3","amount_received":5000,"currency":"gbp","metadata":{"order_id":"other"}}`,
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
		problem(w, http.StatusUnauthorized, "no key, or no start")
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
	return b.log.Do(ctx, func(tx *eventlog.Tx) error {
		for _, line := range lines {
			subject, err := events.Subject(events.PrefixStock, line.SKU)
			if err != nil {
				return err
			}
			sold := events.StockMovement{Location: events.LocationMain, SKU: line.SKU, Quantity: line.Quantity, OrderID: orderID}
			if err := (eventlog.Journal{Subject: subject}).Append(tx, events.StockHeld{StockMovement: sold}, events.StockCommitted{StockMovement: sold}); err != nil {
				return err
			}
		}
		return nil
	})
}

// must ends the test if there is an error.
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
	books.Observe(loadgen.Purchase{}) // not placed
	at := loadgen.Addresses{Storefront: b.shop.server.URL, Stripe: b.shop.server.URL, SecretKey: "sk_test"}
	sums, err := books.Sums(t.Context(), loadgen.Evidence{File: strings.NewReader(twoInvoices), Prices: prices, Database: b.db, Log: b.read,
		Shop: loadgen.NewShop(at, 1, false), LogFrom: after, Since: time.Now(), Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// Only orders of this run count, and the sums wait for projections that are behind.
func TestSumsOfFourSourcesAgree(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	must(t, b.sell(t.Context(), "two", loadgen.Line{SKU: "10003", Quantity: 7})) // before the run, so it does not count
	after, err := b.read.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	must(t, b.store(t.Context(), "one", "confirmed", 3300, 3350, events.OrderLine{SKU: "10001", Quantity: 10}, events.OrderLine{SKU: "10002A", Quantity: 2}))
	must(t, b.store(t.Context(), "other", "confirmed", 5000, 5000, events.OrderLine{SKU: "10001", Quantity: 9}))
	must(t, b.sell(t.Context(), "one", loadgen.Line{SKU: "10001", Quantity: 10}, loadgen.Line{SKU: "10002A", Quantity: 2}))
	must(t, b.sell(t.Context(), "other", loadgen.Line{SKU: "10001", Quantity: 9}))
	behind := make(chan error, 1)
	go func() { // the projection and the ledger of the second order are behind
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
		t.Errorf("sums (-want +got):\n%s", diff)
	}
	if differences := loadgen.Compare(sums); len(differences) > 0 {
		t.Errorf("got differences %v, want none", differences)
	}
}

// The table names an order that is not confirmed and a line that was committed twice.
func TestSumsNameDifferences(t *testing.T) {
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
		"orders: orders collection has 1, want 2",
		"units of 10003: orders collection has 0, want 100",
		"revenue: orders collection has 33.50 GBP, want 55.00 GBP",
		"units of 10003: stock ledger has 200, want 100",
		"goods: stock ledger has 75.00 GBP, want 54.00 GBP",
	} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the table lacks %q:\n%s", part, &text)
		}
	}
}

// countFinds returns a connection to the database that counts its find commands.
func countFinds(t *testing.T, db *mongo.Database, uri string) (*mongo.Database, *atomic.Int64) {
	t.Helper()
	finds := new(atomic.Int64)
	watch := &event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
		if e.CommandName == "find" {
			finds.Add(1)
		}
	}}
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetMonitor(watch).SetBSONOptions(&options.BSONOptions{UseJSONStructTags: true}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, client.Disconnect(context.Background())) })
	return client.Database(db.Name()), finds
}

// The collection is read once for any number of orders. Only orders that are not confirmed yet are read again.
func TestSumOrdersReadsCollectionOnce(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	db, finds := countFinds(t, b.db, b.uri)
	var ids []string
	for i := range 450 {
		ids = append(ids, fmt.Sprintf("order-%03d", i))
	}
	slices.Sort(ids)
	line := events.OrderLine{SKU: "10001", Quantity: 2}
	for _, id := range ids[:449] {
		must(t, b.store(t.Context(), id, "confirmed", 100, 150, line))
	}
	must(t, b.store(t.Context(), "order-444-of-another-run", "confirmed", 100, 150, line))

	var last int
	sum, err := loadgen.SumOrders(t.Context(), db, ids[:449], func(_ string, done, total int) { last = done*1000 + total })
	want := loadgen.Sum{Source: "orders collection", Orders: 449, Units: map[string]int64{"10001": 898}, Goods: pence(44900), Revenue: pence(67350)}
	if diff := cmp.Diff(want, sum); err != nil || diff != "" {
		t.Errorf("sum: %v (-want +got):\n%s", err, diff)
	}
	if n := finds.Swap(0); n != 1 {
		t.Errorf("got %d find commands, want 1", n)
	}
	if last != 449449 {
		t.Errorf("last progress: got %d, want 449 of 449", last)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	sum, err = loadgen.SumOrders(ctx, db, ids, func(string, int, int) {})
	if diff := cmp.Diff(want, sum); err != nil || diff != "" {
		t.Errorf("sum with one order behind: %v (-want +got):\n%s", err, diff)
	}
	if n := finds.Load(); n < 2 || n > 3 {
		t.Errorf("got %d find commands, want 1 and 1 or 2 for the order that is behind", n)
	}
}
