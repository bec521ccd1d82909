package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"tillstream/cmd/internal/output"
)

// errRunning is returned when work of the same kind is running already.
var errRunning = errors.New("is running already")

// background runs the long work that staff start, until the console ends.
type background chan func(context.Context)

// run runs what is started until ctx ends, and waits for it.
func (b background) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case do := <-b:
			running.Go(func() { do(ctx) })
		}
	}
}

// progress reports how far work has come. total is 0 when it is not known.
type progress func(stage string, done, total uint64)

// work is one kind of long work, such as a verification, one run at a time. It goes on when the person leaves the page. The newest
// result is kept in memory until the process ends; a run that fails does not replace it.
type work[R any] struct {
	name string // such as "A verification", for errors
	now  func() time.Time
	back background

	mu    sync.Mutex
	state workState[R]
}

// workState is what a page shows of its work.
type workState[R any] struct {
	Running bool
	What    string // that the newest run is about, such as the moment that is verified
	Stage   string // while it runs, such as "log: 12,000 of 30,000"
	Percent int
	By      string // who started the newest run
	Started time.Time

	Result   *R        // of the newest run that did not fail; nil without one
	About    string    // What of that run
	Finished time.Time // when that run ended
	Error    string    // why the newest run failed
}

// Known reports whether the page has anything to show.
func (s workState[R]) Known() bool { return s.Running || s.Result != nil || s.Error != "" }

// get returns the state of the work.
func (w *work[R]) get() workState[R] {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// start runs do in the background. It returns errRunning while the work is running.
func (w *work[R]) start(ctx context.Context, by, what string, do func(context.Context, progress) (R, error)) error {
	w.mu.Lock()
	running, other := w.state.Running, w.state.By
	if !running {
		w.state.Running, w.state.By, w.state.What, w.state.Started = true, by, what, w.now()
		w.state.Stage, w.state.Percent, w.state.Error = "begins", 0, ""
	}
	w.mu.Unlock()
	if running {
		return fmt.Errorf("%s %w, started by %s", w.name, errRunning, other)
	}
	job := func(ctx context.Context) {
		result, err := do(ctx, w.report)
		w.finish(result, err)
	}
	select {
	case w.back <- job:
		return nil
	case <-ctx.Done():
		var none R
		w.finish(none, ctx.Err())
		return ctx.Err()
	}
}

func (w *work[R]) report(stage string, done, total uint64) {
	stage += ": " + output.Number(done)
	percent := 0
	if total > 0 {
		stage += " of " + output.Number(total)
		percent = int(100 * min(done, total) / total)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Stage, w.state.Percent = stage, percent
}

func (w *work[R]) finish(result R, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Running, w.state.Stage = false, ""
	if err != nil {
		w.state.Error = err.Error()
		return
	}
	w.state.Result, w.state.About, w.state.Finished = &result, w.state.What, w.now()
}

// liveWork returns the event stream of the part "progress-of-work" of a page. read returns the data of the part, and whether the work
// is running.
func (c *console) liveWork(template string, read func() (data any, running bool)) http.HandlerFunc {
	return c.live(func(r *http.Request, s *stream) error {
		return c.follow(r, s, template, func() (any, bool, error) {
			data, running := read()
			return data, !running, nil
		})
	})
}
