package log_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// What somebody publishes straight onto an entity whose newest event says all hides nothing of it: a shelf does not look
// empty because of it.
func TestGarbageDoesNotHideABalance(t *testing.T) {
	t.Parallel()
	shelves := log.Entity[int64]{Prefix: events.PrefixStock, LastOnly: true,
		Apply: func(_ int64, e events.Event) (int64, error) {
			moved, ok := e.Payload.(events.StockAdjusted)
			if !ok {
				return 0, fmt.Errorf("balance cannot take %s", e.Type)
			}
			return moved.After.OnHand, nil
		}}
	server := logtest.Server(t)
	writer := logtest.OpenOn(t, server)
	for _, n := range []int64{3, 7} {
		fact := events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "A", After: events.StockLevel{OnHand: n}}}
		if err := writer.Do(t.Context(), func(tx *log.Tx) error { return shelves.Append(tx, "A", fact) }); err != nil {
			t.Fatal(err)
		}
	}
	ack, err := writer.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: events.PrefixStock + "A", Data: []byte("garbage")})
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*log.Log{"the writer": writer, "a newcomer": logtest.OpenOn(t, server)} {
		if got, seq, err := shelves.Read(t.Context(), l, "A"); err != nil || got != 7 || seq != ack.Sequence {
			t.Errorf("%s reads %d at %d, %v; want 7 at %d", name, got, seq, err, ack.Sequence)
		}
	}
}
