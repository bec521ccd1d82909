//go:build unix

package crashtest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/dryrun"
	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// replayer is who requests the replays of a sweep.
var replayer = events.Author{Actor: "key:ops", Reason: "the failpoints of a replay"}

// replayed is a replay of everything that has happened in a deployment. Processes are killed while lanes carry it out.
type replayed struct {
	id    string
	total int           // handlings
	ended chan struct{} // closed when the first drive has ended
	err   error         // of the first drive, which the kill of a broker interrupts
}

// passesReplay reports whether only a replay reaches a site, not an order.
func passesReplay(where site) bool { return strings.HasPrefix(where.Point, "replay.") }

// requestReplay requests a replay of every event by every lane that decides or acts. There is at least one complete order.
func (c *crowd) requestReplay(t *testing.T) *replayed {
	t.Helper()
	buyer := c.add(pays)
	c.waitFor(t, []*shopper{buyer})
	c.awaitMailSent(t, buyer)
	r := &replayed{ended: make(chan struct{})}
	c.withLog(t, func(reader *replay.Reader) {
		replays := c.replays(t, reader)
		plan, err := replays.Plan(t.Context(), replay.ReplayOptions{Force: true}) // a sweep replays the first events often
		if err != nil {
			t.Fatal(err)
		}
		if r.id, err = replays.Request(t.Context(), plan, replayer); err != nil {
			t.Fatal(err)
		}
		r.total = plan.Handlings
	})
	return r
}

func (c *crowd) replays(t *testing.T, reader *replay.Reader) *replay.Replays {
	t.Helper()
	lanes, err := dryrun.Dispatcher(reader.Log(), "")
	if err != nil {
		t.Fatal(err)
	}
	return replay.NewReplays(reader, lanes, 1_000_000)
}

// begin drives the replay in the background, until it ends or the broker is killed.
func (r *replayed) begin(t *testing.T, c *crowd) {
	t.Helper()
	reader, done, err := c.deployment.shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	replays, ctx := c.replays(t, reader), t.Context()
	go func() {
		defer close(r.ended)
		defer done()
		_, r.err = replays.Drive(ctx, r.id, replayer, nil)
	}()
}

// finish continues the replay after the process has recovered, as ops redeliver --resume does, and expects that every event was handled
// once more by every lane, without a failure.
func (r *replayed) finish(t *testing.T, c *crowd, where site) {
	t.Helper()
	<-r.ended
	if r.err != nil {
		t.Logf("%s: the drive was interrupted: %v", where, r.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c.withLog(t, func(reader *replay.Reader) {
		end, err := c.replays(t, reader).Drive(ctx, r.id, replayer, nil)
		if err != nil || end.State != worker.ReplayFinished || end.Counts.Handled != r.total || end.Counts.Failed > 0 {
			t.Errorf("%s: got replay %s with counts %+v (%v), want it finished with %d events handled and none failed", where, end.State, end.Counts, err, r.total)
		}
	})
}
