package cpu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/pprof/profile"
)

var (
	// ErrNoProfiles is returned when a shop does not serve profiles.
	ErrNoProfiles = errors.New("the shop serves no profiles: start it with --pprof")
	// ErrTooShort is returned when no order was confirmed while a profile was taken.
	ErrTooShort = errors.New("no order was confirmed while profiles were taken: place more orders")
)

// interval is the length of one profile. It is short because the last profile of a run is cut off and its samples are lost.
const interval = 2 * time.Second

// Watch profiles a shop during a run.
type Watch struct {
	origin string
	orders func() int
	client *http.Client
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	nanos   map[Part]int64
	counted int // orders confirmed while profiles were taken
	err     error
}

// Start starts profiling the shop at an origin. orders returns how many orders the shop has confirmed so far. Start returns
// [ErrNoProfiles] when the shop does not serve profiles.
func Start(ctx context.Context, origin string, orders func() int) (*Watch, error) {
	w := &Watch{origin: origin, orders: orders, client: &http.Client{Timeout: interval + 30*time.Second}, nanos: map[Part]int64{}}
	if err := w.check(ctx); err != nil {
		return nil, err
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.done.Go(func() { w.watch(ctx) })
	return w, nil
}

// check requests the list of profiles, which is cheap.
func (w *Watch) check(ctx context.Context) error {
	response, err := w.get(ctx, "/debug/pprof/")
	if err != nil {
		return fmt.Errorf("list profiles: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w (%s/debug/pprof/ answered %s)", ErrNoProfiles, w.origin, response.Status)
	}
	return nil
}

func (w *Watch) get(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.origin+path, nil)
	if err != nil {
		return nil, err
	}
	return w.client.Do(request)
}

// watch takes one profile after another. It counts neither the processor time nor the orders between two profiles.
func (w *Watch) watch(ctx context.Context) {
	own := ownTime()
	before := w.orders()
	for ctx.Err() == nil {
		taken, err := w.take(ctx)
		after, ownAfter := w.orders(), ownTime()
		if ctx.Err() != nil {
			return // the profile was cut off: neither its time nor its orders count
		}
		w.mu.Lock()
		if err != nil {
			w.err = err
			w.mu.Unlock()
			return
		}
		for part, nanos := range timeByPart(taken) {
			w.nanos[part] += nanos
		}
		if ownAfter > 0 {
			w.nanos[Generator] += int64(ownAfter - own)
		}
		w.counted += after - before
		w.mu.Unlock()
		before, own = after, ownAfter
	}
}

func (w *Watch) take(ctx context.Context) (*profile.Profile, error) {
	response, err := w.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(interval.Seconds())))
	if err != nil {
		return nil, fmt.Errorf("take a profile: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		reason, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return nil, errors.Join(fmt.Errorf("take a profile: the shop answered %s: %s", response.Status, reason), err)
	}
	taken, err := profile.Parse(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read a profile: %w", err)
	}
	return taken, nil
}

// Stop stops profiling and returns the processor time per order in milliseconds, by part. It returns [ErrTooShort], or the
// error of a profile.
func (w *Watch) Stop() (map[Part]float64, error) {
	w.stop()
	w.done.Wait()
	switch {
	case w.err != nil:
		return nil, w.err
	case w.counted == 0:
		return nil, ErrTooShort
	}
	costs := map[Part]float64{}
	for part, nanos := range w.nanos {
		costs[part] = time.Duration(nanos).Seconds() * 1000 / float64(w.counted)
	}
	return costs, nil
}
