package feed

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// handingBack bounds how long a shared feed that is closed waits for what the broker sent before it knew.
const handingBack = time.Second

// Release gives back the places of n messages that Take returned: they are settled, and as many new ones may come.
func (f *Feed) Release(n int) { f.free(n) }

func (f *Feed) free(n int) {
	for range n {
		f.places <- struct{}{}
	}
}

// claim waits for a free place and takes it with all others that are free. It returns 0 when ctx ends.
func (f *Feed) claim(ctx context.Context) int {
	select {
	case <-ctx.Done():
		return 0
	case <-f.places:
	}
	for n := 1; ; n++ {
		select {
		case <-f.places:
		default:
			return n
		}
	}
}

// readShared asks for as many messages as there are free places, again and again.
func (f *Feed) readShared(ctx context.Context) error {
	for {
		places := f.claim(ctx)
		if places == 0 {
			return ctx.Err()
		}
		got, err := f.ask(ctx, places)
		f.free(places - got)
		if err != nil {
			return err
		}
	}
}

// ask hands on exactly n messages, fewer when something is wrong or ctx ends. It then drains what the broker has sent by
// that time: thrown away, it would be delivered again only after AckWait.
func (f *Feed) ask(ctx context.Context, n int) (got int, err error) {
	iterator, err := f.consumer.Messages(jetstream.PullMaxMessages(n), jetstream.StopAfter(n), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return 0, err
	}
	defer iterator.Stop()
	draining, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		iterator.Drain()
		time.AfterFunc(handingBack, cancel)
	})
	defer stop()
	for ; got < n; got++ {
		m, err := f.next(draining, iterator, &sequencer{})
		if err != nil {
			return got, err
		}
		f.messages <- m // never full: it holds as many as there are places
	}
	return got, nil
}

// handBack has what was fetched and not begun delivered again at once, to a replica that goes on.
func (f *Feed) handBack() {
	for m := range f.messages {
		if err := m.Nak(); err != nil {
			f.log.Logger().Warn("hand back", "consumer", f.config.Name, "sequence", m.Sequence, "error", err)
		}
	}
}
