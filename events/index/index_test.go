package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/events/api"
)

// row is an order with its amount and how often its payment was declined.
type row struct {
	id       string
	placed   time.Time
	amount   int64
	declined int
}

var errUnknown = errors.New("not the first event of an order")

func newIndex() *Index[row] {
	apply := func(r row, e events.Event) (row, error) {
		placed, ok := e.Payload.(events.OrderPlaced)
		if !ok {
			return r, errUnknown
		}
		return row{id: placed.OrderID, placed: e.Time, amount: placed.Total.Amount}, nil
	}
	decline := func(r row, _ events.Event) (row, error) {
		r.declined++
		return r, nil
	}
	return New(slog.New(slog.DiscardHandler), func(r *row) Place { return Place{r.placed, r.id} }, Fold[row]{Prefix: events.PrefixOrder, Apply: apply},
		Fold[row]{Prefix: events.PrefixPayment, Row: func(e events.Event) string { return e.CorrelationID }, Apply: decline})
}

// place handles the placing of an order at a second.
func place(x *Index[row], id string, second, amount int64) {
	x.Handle(events.Event{Subject: events.PrefixOrder + id, Revision: 1, Time: time.Unix(second, 0), Payload: events.OrderPlaced{OrderID: id, Total: events.Money{Amount: amount}}})
}

func all(*row) bool { return true }

// list returns the ids of all rows that meet a condition.
func list(t *testing.T, x *Index[row], q Query[row], conditions ...func(*row) bool) string {
	t.Helper()
	q.Limit = max(q.Limit, 1000)
	p, err := x.Find(t.Context(), q, conditions...)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range p.Rows {
		ids = append(ids, r.id)
	}
	return strings.Join(ids, " ")
}

func TestIndexHasARowForEveryEntity(t *testing.T) {
	t.Parallel()
	x := newIndex()
	x.Loaded()
	place(x, "b", 2, 10)
	place(x, "a", 1, 30)
	place(x, "c", 2, 20)
	x.Handle(events.Event{Subject: "orders.d", Revision: 1, Payload: events.OrderExpired{}})         // refused by Apply
	x.Handle(events.Event{Subject: "orders.e", Payload: events.OrderPlaced{OrderID: "e"}})           // without a revision
	x.Handle(events.Event{Subject: "inventory.items.x", Revision: 1, Payload: events.ItemChanged{}}) // of no fold
	x.Handle(events.Event{Subject: "payments.p", Revision: 1, CorrelationID: "b"})
	x.Handle(events.Event{Subject: "payments.q", Revision: 1, CorrelationID: "nobody"})
	if got := list(t, x, Query[row]{}, all); got != "b c a" {
		t.Errorf("got %s, want b c a", got)
	}
	if got := list(t, x, Query[row]{}, func(r *row) bool { return r.declined > 0 }); got != "b" {
		t.Errorf("declined: got %s, want b", got)
	}
	if got := list(t, x, Query[row]{Sort: func(r *row) int64 { return -r.amount }}, all); got != "a c b" {
		t.Errorf("by amount: got %s, want a c b", got)
	}
	place(x, "a", 3, 1) // its place changes
	if got := list(t, x, Query[row]{}, all); got != "a b c" {
		t.Errorf("after a change of the place: got %s, want a b c", got)
	}
}

func TestFindUsesTheFirstConditionThatARowMeets(t *testing.T) {
	t.Parallel()
	x := newIndex()
	x.Loaded()
	place(x, "a", 1, 10)
	place(x, "b", 2, 20)
	more := func(than int64) func(*row) bool { return func(r *row) bool { return r.amount > than } }
	for _, c := range []struct {
		first  int64
		want   string
		chosen int
	}{{first: 10, want: "b", chosen: 0}, {first: 99, want: "b a", chosen: 1}} {
		p, err := x.Find(t.Context(), Query[row]{Limit: 9}, more(c.first), all)
		if got := list(t, x, Query[row]{}, more(c.first), all); err != nil || got != c.want || p.Chosen != c.chosen {
			t.Errorf("more than %d: got %s by condition %d, %v; want %s by condition %d", c.first, got, p.Chosen, err, c.want, c.chosen)
		}
	}
}

// Rows that are added while somebody turns pages neither repeat a row nor hide one.
func TestPagesStayTrueWhileRowsAreAdded(t *testing.T) {
	t.Parallel()
	for name, sort := range map[string]func(*row) int64{"Newest": nil, "Amount": func(r *row) int64 { return r.amount }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newIndex()
			x.Loaded()
			for i := range 25 {
				place(x, fmt.Sprintf("o%02d", i), int64(i/3), int64(i/2))
			}
			want := strings.Fields(list(t, x, Query[row]{Sort: sort}, all))
			var got []string
			q := Query[row]{Sort: sort, Limit: 7}
			for more, n := true, 0; more; n++ {
				p, err := x.Find(t.Context(), q, all)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range p.Rows {
					got = append(got, r.id)
				}
				place(x, fmt.Sprintf("new%d", n), 1000, -1) // before the first page in both orders
				q.Cursor, more = p.Next, p.Next != ""
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindRefusesABadCursor(t *testing.T) {
	t.Parallel()
	x := newIndex()
	x.Loaded()
	for _, cursor := range []string{"~", api.EncodeCursor("garbage"), api.EncodeCursor("x y")} {
		if _, err := x.Find(t.Context(), Query[row]{Limit: 1, Cursor: cursor}, all); !errors.Is(err, api.ErrBadCursor) {
			t.Errorf("cursor %q: got %v, want ErrBadCursor", cursor, err)
		}
	}
}

// A process that has just started does not answer with a part of the rows.
func TestFindWaitsUntilTheLogIsRead(t *testing.T) {
	t.Parallel()
	x := newIndex()
	place(x, "a", 1, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Find(ctx, Query[row]{Limit: 1}, all); !errors.Is(err, ErrLoading) {
		t.Errorf("got %v, want ErrLoading", err)
	}
	waiting := make(chan error, 1)
	go func() {
		p, err := x.Find(t.Context(), Query[row]{Limit: 1}, all)
		if err == nil && len(p.Rows) != 1 {
			err = fmt.Errorf("got %d rows, want 1", len(p.Rows))
		}
		waiting <- err
	}()
	x.Loaded()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}
