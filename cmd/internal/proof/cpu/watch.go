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

// stretch is how long one profile is. A run ends in the middle of one, whose samples come too late to count; so that they
// are few, it is short.
const stretch = 2 * time.Second

// Watch profiles a shop for as long as a run takes.
type Watch struct {
	origin string
	orders func() int
	client *http.Client
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	nanos   map[Part]int64
	counted int
	problem error
}

// Start begins to profile the shop at an origin. Orders says how many it has confirmed so far, for the share of each. It
// returns [ErrNoProfiles] when the shop has none to give.
func Start(ctx context.Context, origin string, orders func() int) (*Watch, error) {
	w := &Watch{origin: origin, orders: orders, client: &http.Client{Timeout: stretch + 30*time.Second}, nanos: map[Part]int64{}}
	if err := w.look(ctx); err != nil {
		return nil, err
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.done.Go(func() { w.watch(ctx) })
	return w, nil
}

// look asks for the list of profiles, which costs nothing.
func (w *Watch) look(ctx context.Context) error {
	response, err := w.get(ctx, "/debug/pprof/")
	if err != nil {
		return fmt.Errorf("look for profiles: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w (%s/debug/pprof/ answers %s)", ErrNoProfiles, w.origin, response.Status)
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

// watch takes one profile after the other. The processor time of the moments between two is not seen, and neither are the
// orders that are confirmed in them.
func (w *Watch) watch(ctx context.Context) {
	own := ownTime()
	before := w.orders()
	for ctx.Err() == nil {
		taken, err := w.take(ctx)
		after, ownAfter := w.orders(), ownTime()
		if ctx.Err() != nil {
			return // cut short: what it has seen is lost, and so are its orders
		}
		w.mu.Lock()
		if err != nil {
			w.problem = err
			w.mu.Unlock()
			return
		}
		for part, nanos := range booked(taken) {
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
	response, err := w.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(stretch.Seconds())))
	if err != nil {
		return nil, fmt.Errorf("take a profile: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		reason, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return nil, errors.Join(fmt.Errorf("take a profile: the shop answers %s: %s", response.Status, reason), err)
	}
	taken, err := profile.Parse(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read a profile: %w", err)
	}
	return taken, nil
}

// Stop ends the watch and says what one order cost, in milliseconds of processor time, by part. It returns [ErrTooShort], or
// what went wrong with a profile.
func (w *Watch) Stop() (map[Part]float64, error) {
	w.stop()
	w.done.Wait()
	switch {
	case w.problem != nil:
		return nil, w.problem
	case w.counted == 0:
		return nil, ErrTooShort
	}
	costs := map[Part]float64{}
	for part, nanos := range w.nanos {
		costs[part] = time.Duration(nanos).Seconds() * 1000 / float64(w.counted)
	}
	return costs, nil
}
