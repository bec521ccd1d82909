package console

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// takeUpEvery is how often a console looks for replays without a driver, such as those of a console that has ended.
const takeUpEvery = 30 * time.Second

// drivers drive the replays that staff run from a console, in the background. A replay is an entity in the log, so the console that
// drives it may end at any time: the next one takes it up. Two consoles that drive one replay do not disturb each other.
type drivers struct {
	console *console
	awake   chan struct{} // holds one: a replay may be waiting to be driven

	mu      sync.Mutex
	driving map[string]bool // by id
}

func newDrivers(c *console) *drivers {
	return &drivers{console: c, awake: make(chan struct{}, 1), driving: map[string]bool{}}
}

// wake makes run look for replays at once.
func (d *drivers) wake() {
	select {
	case d.awake <- struct{}{}:
	default:
	}
}

// run drives replays until ctx ends.
func (d *drivers) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	ticker := time.NewTicker(takeUpEvery)
	defer ticker.Stop()
	for {
		all, err := d.console.replays.List(ctx)
		if err != nil && ctx.Err() == nil {
			d.console.Logger.WarnContext(ctx, "replays not read", "error", err)
		}
		for _, one := range all {
			if ours(one) && d.set(one.ID, true) {
				running.Go(func() { defer d.set(one.ID, false); d.drive(ctx, one.ID) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-d.awake:
		}
	}
}

// set records whether this console drives a replay, and reports whether that is new.
func (d *drivers) set(id string, driving bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed := d.driving[id] != driving
	if d.driving[id] = true; !driving {
		delete(d.driving, id)
	}
	return changed
}

// drive drives one replay.
func (d *drivers) drive(ctx context.Context, id string) {
	_, err := d.console.replays.Drive(ctx, id, events.Author{}, nil)
	if err != nil && ctx.Err() == nil && !errors.Is(err, replay.ErrStopped) {
		d.console.Logger.WarnContext(ctx, "replay interrupted", "replay", id, "error", err)
	}
}

// ours reports whether a replay was last set going from a console. What the terminal runs, the terminal drives.
func ours(r replay.Replay) bool {
	return r.State == worker.ReplayRunning && strings.HasPrefix(r.Via, "console ")
}
