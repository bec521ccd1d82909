package saga_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/saga"
	"tillstream/events"
	"tillstream/orders"
)

// lived opens a shop in which orders of every kind have come to their ends: sold, sold out, cancelled, expired.
func lived(t *testing.T, n int) *saga.Shop {
	t.Helper()
	c := &clock{}
	shop := saga.Open(t, saga.Config{Now: c.now})
	shop.Stock(t, "LAMP", int64(n-n/10))
	stop := shop.Run(t)
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("o%d", i))
	}
	place(t, shop, ids...)
	shop.Settle(t)
	for i, id := range ids {
		if shop.Order(t, id).Status != orders.AwaitingPayment {
			continue
		}
		var err error
		switch i % 5 {
		case 0, 1, 2:
			err = shop.Bank.Pay(t.Context(), id)
		case 3:
			err = shop.Cancel(t.Context(), id)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	shop.Settle(t)
	c.forward(pastDeadline)
	shop.Due(t, ids...)
	shop.Settle(t)
	shop.Verify(t, ids...)
	stop()
	return shop
}

// forget deletes every consumer, so that whoever runs next hears everything from the beginning.
func forget(t *testing.T, shop *saga.Shop, streams ...string) {
	t.Helper()
	for _, name := range streams {
		stream, err := shop.Log.Stream(name)
		if err != nil {
			t.Fatal(err)
		}
		names := stream.ConsumerNames(t.Context())
		for consumer := range names.Name() {
			if err := stream.DeleteConsumer(t.Context(), consumer); err != nil {
				t.Fatal(err)
			}
		}
		if err := names.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func lengths(t *testing.T, shop *saga.Shop) map[string]uint64 {
	t.Helper()
	n := map[string]uint64{}
	for _, stream := range []string{events.StreamOrders, events.StreamInventory, events.StreamPayments, events.StreamNotifications, events.StreamParked} {
		n[stream] = shop.Count(t, stream)
	}
	return n
}

// Row 21 of the fault matrix: the whole log is delivered again, to everybody at once and to processes that remember
// nothing. Nobody says anything new.
func TestTheWholeLogAgainSaysNothing(t *testing.T) {
	t.Parallel()
	shop := lived(t, 60)
	before := lengths(t, shop)
	forget(t, shop, events.StreamOrders, events.StreamInventory, events.StreamPayments, events.StreamTimers)
	for _, name := range saga.Domains {
		shop.Replica(t, name).Run(t)
	}
	shop.Settle(t)
	if diff := cmp.Diff(before, lengths(t, shop)); diff != "" {
		t.Errorf("before -, after +:\n%s", diff)
	}
	shop.Verify(t)
}

// Row 22 of the fault matrix: what one domain says reaches another late, and out of step with what a third one says: each
// hears the whole log again alone, one after the other and in every order of two. The end is the same.
func TestDomainsHearInAnyOrder(t *testing.T) {
	t.Parallel()
	shop := lived(t, 20)
	before := lengths(t, shop)
	for _, first := range saga.Domains {
		forget(t, shop, events.StreamOrders, events.StreamInventory, events.StreamPayments, events.StreamTimers)
		for _, then := range saga.Domains {
			for _, name := range []string{first, then} {
				stop := shop.Replica(t, name).Run(t)
				shop.Settle(t)
				stop()
			}
		}
	}
	if diff := cmp.Diff(before, lengths(t, shop)); diff != "" {
		t.Errorf("before -, after +:\n%s", diff)
	}
}
