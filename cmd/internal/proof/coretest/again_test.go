package coretest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/coretest"
	"tillstream/orders"
)

// lived opens a shop in which orders of every kind have come to their ends: sold, sold out, cancelled, expired.
func lived(t *testing.T, n int, apart bool) *coretest.Shop {
	t.Helper()
	c := &clock{}
	shop := coretest.Open(t, coretest.Config{Now: c.now, Apart: apart})
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

// forget deletes the checkpoints, so that lanes that run next read everything from the beginning.
func forget(t *testing.T, shop *coretest.Shop) {
	t.Helper()
	bucket, err := shop.Log.JetStream().KeyValue(t.Context(), "checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	lanes, err := bucket.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, lane := range lanes {
		if err := bucket.Purge(t.Context(), lane); err != nil {
			t.Fatal(err)
		}
	}
}

func lengths(t *testing.T, shop *coretest.Shop) [2]int {
	t.Helper()
	return [2]int{int(shop.Count(t)), len(shop.DeadLetters(t))}
}

// ways are how domains may run: in one process, which decides at once what follows, or each in a process of its own.
var ways = map[string]bool{"InOneProcess": false, "Apart": true}

// Row 21 of the fault matrix: the whole log is read again, by all lanes at once and by processes that remember nothing.
// Nothing new comes of it.
func TestTheWholeLogAgainSaysNothing(t *testing.T) {
	t.Parallel()
	for name, apart := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := lived(t, 60, apart)
			before := lengths(t, shop)
			forget(t, shop)
			if apart {
				for _, name := range coretest.Domains {
					shop.Replica(t, name).Run(t)
				}
			} else {
				shop.Replica(t, coretest.Domains...).Run(t)
			}
			shop.Settle(t)
			if diff := cmp.Diff(before, lengths(t, shop)); diff != "" {
				t.Errorf("before -, after +:\n%s", diff)
			}
			shop.Verify(t)
		})
	}
}

// Row 22 of the fault matrix: what one domain says reaches another late, and out of step with what a third one says: each
// reads the whole log again alone, one after the other and in every order of two. The end is the same.
func TestDomainsHearInAnyOrder(t *testing.T) {
	t.Parallel()
	shop := lived(t, 20, true)
	before := lengths(t, shop)
	for _, first := range coretest.Domains {
		forget(t, shop)
		for _, then := range coretest.Domains {
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
