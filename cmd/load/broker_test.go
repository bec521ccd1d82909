//go:build unix

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// storedBroker is a broker on one store and at one address, in one process after another.
type storedBroker struct {
	store    string
	interval string // sync_interval
	addr     string
	process  *proc.Process
}

func newStoredBroker(t *testing.T, store, interval string) *storedBroker {
	t.Helper()
	b := &storedBroker{store: store, interval: interval, addr: proc.MustFreeAddr(t)}
	b.start(t)
	return b
}

func (b *storedBroker) url() string { return "nats://" + b.addr }

// start returns when the broker accepts connections.
func (b *storedBroker) start(t *testing.T) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "nats.conf")
	text := fmt.Sprintf("listen: %q\nmax_payload: 1MB\njetstream { store_dir: %q, sync_interval: %q }\n", b.addr, b.store, b.interval)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(proc.MustBuild(t, "github.com/nats-io/nats-server/v2"), "nats-server")
	b.process = proc.MustStart(t, proc.Command{Name: "broker", Path: program, Args: []string{"--config", config}})
	proc.WaitFor(t, "the broker takes connections", patience, func() bool {
		conn, err := nats.Connect(b.url())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (b *storedBroker) open(t *testing.T) *eventlog.Log {
	t.Helper()
	return logtest.OpenOver(t, logtest.ConnectTo(t, b.url()))
}

// counted is an entity whose state is the number of its events.
var counted = eventlog.Entity[int]{Prefix: events.PrefixOrder,
	Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

const (
	brokerKills = 5
	enoughFacts = 100 // transactions between two kills
	batchSize   = 3   // entities per transaction
)

// Row 10 of the fault matrix: the broker is killed and restarted five times during appends. Every acknowledged transaction is
// stored once; every other one is stored completely or not.
func TestBrokerIsKilledUnderAppends(t *testing.T) {
	t.Parallel()
	b := newStoredBroker(t, t.TempDir(), "always")
	w := writers{log: b.open(t)}
	stop := w.start(t, 8)
	defer stop()
	for range brokerKills {
		enough := w.count() + enoughFacts/2 + rand.IntN(enoughFacts/2)
		proc.WaitFor(t, "enough is appended", time.Minute, func() bool { return w.count() >= enough })
		proc.Check(t, b.process.Kill())
		b.start(t)
	}
	enough := w.count() + enoughFacts
	proc.WaitFor(t, "appends go on", time.Minute, func() bool { return w.count() >= enough })
	stop()
	w.check(t, b.open(t))
}

// writers append transactions of several new entities each.
type writers struct {
	log *eventlog.Log

	mu           sync.Mutex
	acknowledged []string
	unknown      []string
}

func (w *writers) start(t *testing.T, n int) (stop func()) {
	t.Helper()
	ended := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-ended:
					return
				default:
					w.append(t, fmt.Sprintf("w%d-%d", i, k))
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(ended); all.Wait() })
}

func (w *writers) append(t *testing.T, id string) {
	err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		var problems []error
		for i := range batchSize {
			entity := fmt.Sprintf("%s-%d", id, i)
			_, err := counted.LoadNew(tx, entity)
			problems = append(problems, err, counted.Append(tx, entity, events.OrderPlaced{OrderID: entity}))
		}
		return errors.Join(problems...)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.acknowledged = append(w.acknowledged, id)
	case errors.Is(err, eventlog.ErrUnavailable):
		w.unknown = append(w.unknown, id)
	default:
		t.Errorf("append %s: %v", id, err)
	}
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acknowledged)
}

// check compares the transactions with the log.
func (w *writers) check(t *testing.T, l *eventlog.Log) {
	t.Helper()
	stored := func(id string) (n int) {
		for i := range batchSize {
			state, _, err := counted.Read(t.Context(), l, fmt.Sprintf("%s-%d", id, i))
			if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
				t.Fatal(err)
			}
			n += state
		}
		return n
	}
	for _, id := range w.acknowledged {
		if n := stored(id); n != batchSize {
			t.Errorf("acknowledged transaction %s: got %d events, want %d", id, n, batchSize)
		}
	}
	for _, id := range w.unknown {
		if n := stored(id); n != 0 && n != batchSize {
			t.Errorf("unknown transaction %s: got %d events, want 0 or %d", id, n, batchSize)
		}
	}
	t.Logf("%d transactions acknowledged, %d unknown", len(w.acknowledged), len(w.unknown))
}
