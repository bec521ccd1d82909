package console

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/worker"
	"tillstream/inventory"
	"tillstream/orders"
	"tillstream/payments"
)

// The size of the benchmark: as many orders, dead letters and actions of staff, and so many items.
const (
	benchOrders = 10_000
	benchItems  = 200
)

// BenchmarkPagesOf10000Orders measures every page with a list or a search, as its handler answers it, in a shop with 10,000 orders
// (190,000 events), 10,000 dead letters and 10,000 actions of staff. It reports the least and the median time of a page, and what the
// first request costs after a start. deploy/PERFORMANCE.md has the figures.
func BenchmarkPagesOf10000Orders(b *testing.B) {
	w, start := openFull(b)
	filled := w.fill()
	b.Logf("filled with %d events in %s", filled, start())
	for _, page := range []struct{ name, path string }{
		{"Overview", "/ops"},
		{"Orders", "/ops/orders"}, {"OrdersToShip", "/ops/orders?view=to-ship"}, {"OrdersByName", "/ops/orders?q=lovelace"}, {"OrdersByTotal", "/ops/orders?sort=total"},
		{"Search", "/ops/search?q=customer77@example.com"}, {"SearchNothing", "/ops/search?q=nobody"},
		{"SearchID", "/ops/search?q=" + uuid.Must(uuid.NewV7()).String()},
		{"Payments", "/ops/payments"}, {"PaymentsByStatus", "/ops/payments?status=captured"}, {"PaymentsByIntent", "/ops/payments?q=pi_00077"}, {"OpenItems", "/ops/payments/open"},
		{"Items", "/ops/items"}, {"ItemsSearch", "/ops/items?q=mug"}, {"Stock", "/ops/stock"}, {"Ledger", "/ops/stock/SKU-7"},
		{"Messages", "/ops/messages"}, {"MessagesByStatus", "/ops/messages?status=sent"},
		{"Events", "/ops/events"}, {"EventsByType", "/ops/events?type=orders.placed"}, {"EventsOfNone", "/ops/events?type=orders.paid_late"},
		{"EventsByText", "/ops/events?q=nobody"}, {"EventsOfOrder", "/ops/events?order=" + benchID(77)}, {"EventsOfSKU", "/ops/events?entity=inventory.stock.main.SKU-7"},
		{"DeadLetters", "/ops/deadletters"}, {"DeadLettersAll", "/ops/deadletters?state=all&page=50"},
		{"Audit", "/ops/audit"}, {"AuditByActor", "/ops/audit?actor=rare"}, {"AuditByType", "/ops/audit?type=ops.*"}, {"AuditByEntity", "/ops/audit?entity=SKU-7"},
		{"Replay", "/ops/replay"}, {"System", "/ops/system"},
	} {
		b.Run(page.name, func(b *testing.B) { w.measure(b, page.path) })
	}
}

// measure requests a page again and again.
func (g *goods) measure(b *testing.B, path string) {
	var times []time.Duration
	for b.Loop() {
		begun := time.Now()
		if answer, body := g.send(g.Client, http.MethodGet, path, nil); answer.StatusCode >= http.StatusBadRequest { // a search may redirect to its only hit
			b.Fatalf("GET %s: got %s\n%s", path, answer.Status, body)
		}
		times = append(times, time.Since(begun))
	}
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(milliseconds(times[0]), "first-ms")
	slices.Sort(times)
	b.ReportMetric(milliseconds(times[0]), "least-ms")
	b.ReportMetric(milliseconds(times[len(times)/2]), "median-ms")
}

// allOrders opens every order.
type allOrders struct{ api.StaffAccess }

// Allows implements api.OrderAccess.
func (allOrders) Allows(string, string) bool { return true }

// Token implements orders.Access.
func (allOrders) Token(string) string { return "" }

// openFull starts a console with the lists of all domains behind it. They are started by start, which waits until they are filled.
func openFull(b *testing.B) (g *goods, start func() time.Duration) {
	b.Helper()
	g = &goods{}
	var domains []worker.Domain
	g.world = open(b, func(config *Config) {
		l, access, mux := config.Log.Log(), allOrders{config.Access}, api.NewMux()
		router := api.New(mux)
		stock, err := inventory.New(inventory.Config{Access: config.Access, Log: l.ForDomain("inventory")})
		if err != nil {
			b.Fatal(err)
		}
		ordering, err := orders.New(orders.Config{Access: access, DB: config.DB, Log: l.ForDomain("orders"), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		paying, err := payments.New(payments.Config{Access: access, DB: config.DB, Log: l.ForDomain("payments"), SecretKey: "sk_test_x", PublishableKey: "pk_test_x",
			WebhookSecret: "whsec_x_0123456789abcdef", StripeAPIBase: "http://127.0.0.1:1"})
		if err != nil {
			b.Fatal(err)
		}
		for _, d := range []interface {
			Register(router huma.API)
			Worker() worker.Domain
		}{stock, ordering, paying} {
			d.Register(router)
			lanes := d.Worker()
			domains = append(domains, worker.Domain{Name: lanes.Name, Log: lanes.Log, Watches: lanes.Watches})
		}
		config.API, g.stock = api.Routes(mux), stock
	})
	return g, func() time.Duration {
		begun := time.Now()
		g.run(g.Log, domains...)
		for _, list := range []string{"/ops/orders", "/ops/payments"} { // a request waits for some seconds
			for answer, _ := g.send(g.Client, http.MethodGet, list, nil); answer.StatusCode != http.StatusOK; {
				answer, _ = g.send(g.Client, http.MethodGet, list, nil)
			}
		}
		return time.Since(begun)
	}
}

// benchID returns the id of an order.
func benchID(i int) string { return fmt.Sprintf("019a3c00-0000-7000-8000-%012d", i) }

// fill appends the events of a shop, in batches of the greatest size, and returns their number.
func (g *goods) fill() int {
	g.t.Helper()
	f := &filler{goods: g, revisions: map[string]uint64{}}
	for i := range benchItems {
		sku := fmt.Sprintf("SKU-%d", i)
		f.add("staff:ada", "", events.PrefixItem+sku, events.ItemChanged{SKU: sku, Title: fmt.Sprintf("Mug %d", i), Price: pounds(1250)})
	}
	for i := range benchOrders {
		f.addPurchase(i)
		f.addStaff(i)
	}
	f.commit()
	return f.count
}

// filler appends events without the checks of a domain, which would cost a read for each.
type filler struct {
	*goods
	revisions map[string]uint64
	batch     []*nats.Msg
	count     int
}

// add adds one event, and appends a batch when there are enough.
func (f *filler) add(actor, order, subject string, payload events.Payload) {
	f.t.Helper()
	f.revisions[subject]++
	msg, err := events.Encode(events.Event{ID: uuid.Must(uuid.NewV7()).String(), Source: "test", Time: time.Now(), Subject: subject, Revision: f.revisions[subject],
		CorrelationID: order, Actor: actor, Payload: payload})
	if err != nil {
		f.t.Fatal(err)
	}
	if f.batch = append(f.batch, msg); len(f.batch) == 1000 {
		f.commit()
	}
}

func (f *filler) commit() {
	f.t.Helper()
	publisher, err := jetstreamext.NewBatchPublisher(f.js, jetstreamext.BatchFlowControl{AckFirst: false})
	if err != nil {
		f.t.Fatal(err)
	}
	last := len(f.batch) - 1
	for _, msg := range f.batch[:last] {
		if err := publisher.AddMsg(msg); err != nil {
			f.t.Fatal(err)
		}
	}
	if _, err := publisher.CommitMsg(f.t.Context(), f.batch[last]); err != nil {
		f.t.Fatal(err)
	}
	f.count, f.batch = f.count+len(f.batch), nil
	<-f.js.PublishAsyncComplete() // the dead letters
}

// addPurchase adds the events of a purchase of two lines.
func (f *filler) addPurchase(i int) {
	id, mail := benchID(i), fmt.Sprintf("mail-%d@tillstream.example", i)
	payment, intent, charge, total := events.FirstPaymentID(id), fmt.Sprintf("pi_%05d", i), fmt.Sprintf("ch_%05d", i), pounds(2500)
	first, second := fmt.Sprintf("SKU-%d", i%benchItems), fmt.Sprintf("SKU-%d", (i+1)%benchItems)
	number := orders.NumberFor(id)
	outcome := events.OrderOutcome{OrderID: id, PaymentID: payment}
	add := func(subject string, payloads ...events.Payload) {
		for _, p := range payloads {
			f.add("guest", id, subject, p)
		}
	}
	moved := func(sku string) events.StockMovement {
		return events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: 1, OrderID: id, After: events.StockLevel{OnHand: 100, Available: 99, Held: 1}}
	}
	add(events.PrefixOrder+id, events.OrderPlaced{OrderID: id, Number: number, Total: total, Subtotal: total, ExpiresAt: time.Now().Add(time.Hour),
		Customer: events.Customer{Name: []string{"Ada Lovelace", "Zoë Müller"}[i%2], Email: fmt.Sprintf("customer%d@example.com", i)},
		ShipTo:   events.Address{Line1: "1 High Street", City: "London", PostalCode: "N1 1AA", Country: "GB"},
		Lines:    []events.OrderLine{{SKU: first, Title: "Mug", Quantity: 1, UnitPrice: pounds(1250)}, {SKU: second, Title: "Mug", Quantity: 1, UnitPrice: pounds(1250)}}})
	add(events.PrefixStock+first, events.StockHeld{StockMovement: moved(first)})
	add(events.PrefixStock+second, events.StockHeld{StockMovement: moved(second)})
	add(events.PrefixReservation+id, events.ReservationHeld{OrderID: id, Lines: []events.ReservedLine{{SKU: first, Quantity: 1}, {SKU: second, Quantity: 1}}})
	add(events.PrefixOrder+id, events.OrderAwaitingPayment{OrderID: id, PaymentID: payment, Number: number, Amount: total, ExpiresAt: time.Now().Add(time.Hour)})
	add(events.PrefixPayment+payment, events.PaymentRequested{OrderID: id, PaymentID: payment, Number: number, Amount: total},
		events.PaymentIntentCreated{OrderID: id, PaymentID: payment, PaymentIntent: intent, Amount: total},
		events.WebhookReceived{StripeEvent: fmt.Sprintf("evt_%05d", i), StripeType: "payment_intent.amount_capturable_updated", Via: "webhook", Body: []byte(`{"id":"` + intent + `"}`)},
		events.PaymentAuthorized{OrderID: id, PaymentID: payment, PaymentIntent: intent, Amount: total, Charge: charge})
	add(events.PrefixOrder+id, events.OrderPaymentAccepted{OrderID: id, PaymentID: payment, Amount: total})
	add(events.PrefixPayment+payment, events.PaymentCaptured{OrderID: id, PaymentID: payment, PaymentIntent: intent, Amount: total, Charge: charge})
	add(events.PrefixOrder+id, events.OrderConfirmed{OrderOutcome: outcome})
	add(events.PrefixStock+first, events.StockCommitted{StockMovement: moved(first)})
	add(events.PrefixStock+second, events.StockCommitted{StockMovement: moved(second)})
	add(events.PrefixReservation+id, events.ReservationCommitted{OrderID: id})
	add(events.PrefixNotification+id, events.MessageQueued{OrderID: id, MessageID: mail, Template: "order_confirmed", Facts: []byte(`{"number":"` + number + `"}`)},
		events.MessageSending{OrderID: id, MessageID: mail, To: "customer@example.com", Attempt: 1}, events.MessageSent{OrderID: id, MessageID: mail})
}

// addStaff adds an action of staff, and a dead letter.
func (f *filler) addStaff(i int) {
	actor := fmt.Sprintf("staff:p%d", i%20)
	if i == 10 {
		actor = "staff:rare"
	}
	sku := fmt.Sprintf("SKU-%d", i%benchItems)
	f.add(actor, "", events.PrefixStock+sku, events.StockAdjusted{Reason: "counted", StockMovement: events.StockMovement{Location: events.LocationMain, SKU: sku, Quantity: 1,
		After: events.StockLevel{OnHand: 100, Available: 100}}})
	sequence := uint64(f.count + len(f.batch))
	letter, err := events.Encode(events.Event{ID: uuid.Must(uuid.NewV7()).String(), Source: "test", Time: time.Now(), Subject: worker.DeadLetterSubject("orders", sequence),
		Revision: 1, Actor: "system", Payload: events.DeadLettered{Worker: "orders", Sequence: sequence, Attempt: 3, Error: fmt.Sprintf("price item %d: no such price\nat decide.go:17", i),
			Fingerprint: fmt.Sprintf("fingerprint-%d", i%7), Subject: events.PrefixOrder + benchID(i)}})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.js.PublishMsgAsync(letter); err != nil {
		f.t.Fatal(err)
	}
}
