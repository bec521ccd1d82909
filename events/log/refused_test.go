package log_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// A broker that has no room says so in several ways: of its account, and of what waits to be written. None of them is
// about the fact: it is kept for later, and nobody sets an event aside because of it.
func TestABrokerWithoutRoomIsUnavailable(t *testing.T) {
	t.Parallel()
	impatient := func(c *log.Config) { c.Patience = 100 * time.Millisecond }
	t.Run("Account", func(t *testing.T) {
		t.Parallel()
		broker := tight(t, func(*server.Options) {})
		l := logtest.OpenOver(t, logtest.ConnectTo(t, broker.ClientURL()), impatient)
		appendSideBySide(t, l, "before")
		few := server.JetStreamAccountLimits{MaxMemory: -1, MaxStore: 100, MaxStreams: -1, MaxConsumers: -1}
		if err := broker.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": few}); err != nil {
			t.Fatal(err)
		}
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); !errors.Is(err, log.ErrUnavailable) {
			t.Errorf("one fact: %v, want ErrUnavailable", err)
		}
		both := func(tx *log.Tx) error { return errors.Join(add(tx, "a", 1), add(tx, "b", 1)) }
		if err := l.Do(t.Context(), both); !errors.Is(err, log.ErrUnavailable) {
			t.Errorf("two facts: %v, want ErrUnavailable", err)
		}
	})
	t.Run("Queue", func(t *testing.T) {
		t.Parallel()
		broker := tight(t, func(o *server.Options) { o.StreamMaxBufferedMsgs = 1 })
		l := logtest.OpenOver(t, logtest.ConnectTo(t, broker.ClientURL()), impatient)
		refused := func(err error) bool { return err != nil && !errors.Is(err, log.ErrUnavailable) }
		for round := range 20 {
			for _, err := range sideBySideOutcomes(t, l, fmt.Sprintf("round-%d", round)) {
				if refused(err) {
					t.Fatalf("%v, want ErrUnavailable", err)
				}
			}
		}
	})
}

// tight is a broker with limits that the shop's own does not have.
func tight(t *testing.T, limit func(*server.Options)) *server.Server {
	t.Helper()
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
		NoSigs: true, NoLog: true}
	limit(options)
	broker, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(30 * time.Second) {
		t.Fatal("the broker does not come up")
	}
	return broker
}
