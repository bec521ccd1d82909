package log_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// A lane goes on where its last checkpoint says, in whichever process.
func TestACheckpointIsWhereALaneGoesOn(t *testing.T) {
	t.Parallel()
	server, now := logtest.Server(t), time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	first := logtest.OpenOn(t, server, func(c *log.Config) { c.Now = func() time.Time { return now } })
	none, err := first.Checkpoints(t.Context())
	if err != nil || len(none) != 0 {
		t.Errorf("before anything: %v, %v", none, err)
	}
	c, err := first.LoadCheckpoint(t.Context(), "orders-decide")
	if err != nil || c.Position != 0 || c.Lane != "orders-decide" {
		t.Fatalf("a lane that is new: %+v, %v; want position 0", c, err)
	}
	for position := range uint64(3) {
		c.Position, c.State = 10*position, []byte(`{"open":[7]}`)
		if err := first.SaveCheckpoint(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	other, err := first.LoadCheckpoint(t.Context(), "mail-act")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.SaveCheckpoint(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	second := logtest.OpenOn(t, server)
	want := log.Checkpoint{Lane: "orders-decide", Position: 20, State: []byte(`{"open":[7]}`), Written: now}
	got, err := second.LoadCheckpoint(t.Context(), "orders-decide")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(log.Checkpoint{})); err != nil || diff != "" {
		t.Errorf("%v, want -, got +:\n%s", err, diff)
	}
	all, err := second.Checkpoints(t.Context())
	byLane := cmpopts.SortSlices(func(a, b log.Checkpoint) bool { return a.Lane > b.Lane })
	if diff := cmp.Diff([]log.Checkpoint{want, {Lane: "mail-act", Written: now}}, all, byLane, cmpopts.IgnoreUnexported(log.Checkpoint{})); err != nil || diff != "" {
		t.Errorf("of all lanes: %v, want -, got +:\n%s", err, diff)
	}
}

// Of two processes that believe that a lane is theirs, one writes its checkpoint and the other is told that it does not.
// What was written is not taken back.
func TestAnOvertakenProcessDoesNotTakeACheckpointBack(t *testing.T) {
	t.Parallel()
	for name, saves := range map[string]int{"OfANewLane": 0, "OfAKnownLane": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := logtest.Server(t)
			suspended, successor := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
			load := func(l *log.Log) log.Checkpoint {
				t.Helper()
				c, err := l.LoadCheckpoint(t.Context(), "lane")
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			save := func(l *log.Log, c *log.Checkpoint, position uint64) error {
				c.Position = position
				return l.SaveCheckpoint(t.Context(), c)
			}
			old := load(suspended)
			for i := range saves {
				if err := save(suspended, &old, uint64(i)); err != nil {
					t.Fatal(err)
				}
			}
			current := load(successor)
			if err := save(successor, &current, 100); err != nil {
				t.Fatal(err)
			}
			if err := save(suspended, &old, 50); !errors.Is(err, log.ErrCheckpointConflict) {
				t.Errorf("the suspended process saves: %v, want ErrOvertaken", err)
			}
			if err := save(successor, &current, 110); err != nil {
				t.Errorf("its successor saves: %v", err)
			}
			if got := load(suspended); got.Position != 110 {
				t.Errorf("the lane is at %d, want 110", got.Position)
			}
		})
	}
}

// A checkpoint that cannot be written is not one that was overtaken: the lane is still this process's.
func TestACheckpointThatIsNotHeardIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(c *log.Config) { c.Patience = 100 * time.Millisecond })
	c, err := w.writer.LoadCheckpoint(t.Context(), "lane")
	if err != nil {
		t.Fatal(err)
	}
	w.proxy.Refuse()
	until(t, "the connection is gone", func() bool { return !w.writer.JetStream().Conn().IsConnected() })
	if err := w.writer.SaveCheckpoint(t.Context(), &c); !errors.Is(err, log.ErrUnavailable) || errors.Is(err, log.ErrCheckpointConflict) {
		t.Errorf("while nobody listens: %v, want ErrUnavailable", err)
	}
	if _, err := w.writer.LoadCheckpoint(t.Context(), "lane"); !errors.Is(err, log.ErrUnavailable) {
		t.Errorf("loaded while nobody listens: %v, want ErrUnavailable", err)
	}
	w.proxy.Release()
	until(t, "the connection is back", w.writer.JetStream().Conn().IsConnected)
	if err := w.writer.SaveCheckpoint(t.Context(), &c); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
