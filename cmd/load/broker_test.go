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
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// storedBroker is a broker on a store of the test's choice, one process after the other and always at the same address.
type storedBroker struct {
	store    string
	interval string // between two syncs
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

// start returns when the broker takes connections.
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

func (b *storedBroker) open(t *testing.T) *log.Log {
	t.Helper()
	return logtest.OpenOver(t, logtest.ConnectTo(t, b.url()))
}

// counted is an entity that counts its facts.
var counted = log.Entity[int]{Prefix: events.PrefixOrder,
	Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

const (
	brokerKills = 5
	enoughFacts = 100 // transactions between two kills
	partners    = 3   // entities of a transaction
)

// Row 10 of the fault matrix: the broker is killed five times while facts are appended, and comes back by itself each
// time. What was acknowledged is there, once; what was not is there whole or not at all.
func TestBrokerIsKilledUnderAppends(t *testing.T) {
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

// writers append transactions of several entities each, all new, without looking whether they are there.
type writers struct {
	log *log.Log

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
	err := w.log.Do(t.Context(), func(tx *log.Tx) error {
		var problems []error
		for i := range partners {
			partner := fmt.Sprintf("%s-%d", id, i)
			_, err := counted.LoadNew(tx, partner)
			problems = append(problems, err, counted.Append(tx, partner, events.OrderPlaced{OrderID: partner}))
		}
		return errors.Join(problems...)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.acknowledged = append(w.acknowledged, id)
	case errors.Is(err, log.ErrUnavailable):
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

// check compares what was acknowledged with what is in the log.
func (w *writers) check(t *testing.T, l *log.Log) {
	t.Helper()
	facts := func(id string) (n int) {
		for i := range partners {
			state, _, err := counted.Read(t.Context(), l, fmt.Sprintf("%s-%d", id, i))
			if err != nil && !errors.Is(err, log.ErrNotFound) {
				t.Fatal(err)
			}
			n += state
		}
		return n
	}
	for _, id := range w.acknowledged {
		if n := facts(id); n != partners {
			t.Errorf("transaction %s was acknowledged and has %d facts, want %d", id, n, partners)
		}
	}
	for _, id := range w.unknown {
		if n := facts(id); n != 0 && n != partners {
			t.Errorf("transaction %s has %d of %d facts", id, n, partners)
		}
	}
	t.Logf("%d transactions acknowledged, %d unknown", len(w.acknowledged), len(w.unknown))
}
