package orders

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"tillstream/events"
	"tillstream/events/index"
)

var listedAt = time.Date(2026, 11, 12, 12, 0, 0, 0, time.UTC)

// numbered returns the id and the number of an order of listOf.
func numbered(i int) Order {
	id := uuid.NewSHA1(namespace, []byte(fmt.Sprint(i))).String()
	return Order{ID: id, Number: NumberFor(id)}
}

// listOf returns an index with n orders, placed one minute apart. Every second one is confirmed, with a payment.
func listOf(n int) *index.Index[row] {
	x := newIndex(slog.New(slog.DiscardHandler))
	for i := range n {
		id := numbered(i).ID
		at := listedAt.Add(time.Duration(i-n+1) * time.Minute)
		apply := func(subject string, revision uint64, payload events.Payload) {
			x.Handle(events.Event{Type: payload.EventType(), Subject: subject, Revision: revision, Time: at, CorrelationID: id, Payload: payload})
		}
		name := []string{"Zoë Müller", "Ada Lovelace", "Łukasz Żak", "Anna O'Neil"}[i%4]
		money := events.Money{Amount: int64(1000 + i), Currency: "GBP"}
		apply("orders."+id, 1, events.OrderPlaced{OrderID: id, Number: numbered(i).Number, Customer: events.Customer{Name: name, Email: fmt.Sprintf("customer%d@example.com", i)},
			ShipTo: events.Address{Line1: "1 High Street", City: "London", PostalCode: "N1 1AA", Country: "GB"}, Lines: []events.OrderLine{{SKU: fmt.Sprintf("SKU-%d", i%100)}, {SKU: "Mug 1"}}, Total: money})
		if i%2 == 1 {
			outcome := events.OrderOutcome{OrderID: id}
			apply("orders."+id, 2, events.OrderAwaitingPayment{OrderID: id})
			apply("payments."+id, 1, events.PaymentCaptured{PaymentIntent: fmt.Sprintf("pi_%d", i), Charge: fmt.Sprintf("ch_%d", i)})
			apply("orders."+id, 3, events.OrderConfirmed{OrderOutcome: outcome})
		}
	}
	x.Loaded()
	return x
}

// emails returns the local parts of the addresses of a page.
func emails(t *testing.T, x *index.Index[row], in listInput) (names string, f index.Page[row]) {
	t.Helper()
	if in.Limit == 0 {
		in.Limit = 50
	}
	q, err := in.query(listedAt)
	if err == nil {
		f, err = x.Find(t.Context(), q.page, q.conditions()...)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range f.Rows {
		all = append(all, strings.TrimSuffix(strings.TrimPrefix(r.email, "customer"), "@example.com"))
	}
	return strings.Join(all, " "), f
}

func TestListFindsWhatStaffType(t *testing.T) {
	t.Parallel()
	x := listOf(8)
	third := numbered(3)
	spelled := "# " + strings.ToLower(strings.NewReplacer("-", " ", "0", "O", "1", "l").Replace(third.Number))
	for typed, want := range map[string]string{
		spelled: "3", strings.ToUpper(third.ID): "3", " Customer3@Example.com ": "3", "pi_3": "", "pi_33": "", "PI_3": "", "ch_5": "",
		"zoe muller": "4 0", "ZOË": "4 0", "lukasz zak": "6 2", "o'neil": "7 3", "lovelace paid": "5 1", "unpaid zoe": "4 0",
		"confirmed": "7 5 3 1", "to ship": "7 5 3 1", "sku-2": "2", "mug london": "", "customer5@": "5", "2026-11-12": "7 6 5 4 3 2 1 0",
		"yesterday": "", "nobody": "", "": "7 6 5 4 3 2 1 0", third.Number + " paid": "3", third.Number + " expired": "",
	} {
		if got, _ := emails(t, x, listInput{Q: typed}); got != want {
			t.Errorf("%q: got orders %q, want %q", typed, got, want)
		}
	}
}

func TestListFindsOrdersByTheIdsOfStripe(t *testing.T) {
	t.Parallel()
	x := listOf(200)
	for _, typed := range []string{"pi_131", " PI_131", "ch_131"} {
		if got, f := emails(t, x, listInput{Q: typed}); got != "131" || f.Chosen != exact {
			t.Errorf("%q: got orders %q, condition %d; want 131, exact", typed, got, f.Chosen)
		}
	}
}

func TestListFiltersAndSorts(t *testing.T) {
	t.Parallel()
	x := listOf(6)
	for name, c := range map[string]struct {
		in   listInput
		want string
	}{
		"Status":     {listInput{Status: []Status{Confirmed, Rejected}}, "5 3 1"},
		"Payment":    {listInput{Payment: []PaymentStatus{Unpaid}}, "4 2 0"},
		"Fulfilment": {listInput{Fulfilment: []FulfilmentStatus{"delivered"}}, ""},
		"From":       {listInput{From: "2026-11-12T11:58:00Z"}, "5 4 3"},
		"To":         {listInput{To: "2026-11-12T11:58:00Z"}, "2 1 0"},
		"Oldest":     {listInput{Sort: "oldest", Limit: 2}, "0 1"},
		"Total":      {listInput{Sort: "total", Limit: 2}, "5 4"},
		"Skip":       {listInput{Skip: 4}, "1 0"},
		"SkipAll":    {listInput{Skip: 40}, ""},
	} {
		if got, _ := emails(t, x, c.in); got != c.want {
			t.Errorf("%s: got orders %q, want %q", name, got, c.want)
		}
	}
	var invalid *events.InvalidError
	if _, err := (&listInput{From: "soon"}).query(listedAt); !errors.As(err, &invalid) {
		t.Errorf("from=soon: got %v, want an InvalidError", err)
	}
}

func TestListPagesByCursorInEverySortOrder(t *testing.T) {
	t.Parallel()
	x := listOf(25)
	for _, by := range []string{"newest", "oldest", "total", "changed"} {
		whole, _ := emails(t, x, listInput{Sort: by})
		var pages []string
		in := listInput{Sort: by, Limit: 7}
		for more := true; more; more = in.Cursor != "" {
			names, f := emails(t, x, in)
			if f.Total != 25 {
				t.Errorf("%s: got a total of %d, want 25", by, f.Total)
			}
			pages, in.Cursor = append(pages, names), f.Next
		}
		if diff := cmp.Diff(whole, strings.Join(pages, " ")); diff != "" || len(pages) != 4 {
			t.Errorf("%s: %d pages (-whole +pages):\n%s", by, len(pages), diff)
		}
	}
}

// The figures of deploy/PERFORMANCE.md: a search of every kind in 10,000 orders, and the memory of one order.
func BenchmarkList(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := listOf(10_000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	for name, typed := range map[string]string{"All": "", "Number": numbered(17).Number, "Email": "customer17@example.com", "Stripe": "pi_17",
		"NamePart": "lovel", "Status": "to ship", "Nothing": "nobody of this name"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				q, err := (&listInput{Q: typed, Limit: 50}).query(listedAt)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := x.Find(b.Context(), q.page, q.conditions()...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/10_000, "B/order")
		})
	}
	runtime.KeepAlive(x)
}
