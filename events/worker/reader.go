package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tillstream/events/log"
)

// reader follows the log for all lanes of the process.
type reader struct {
	log     *log.Log
	missing func(ctx context.Context, from, to uint64) ([]log.Message, error)
	observe func(*Item)
	ring    *ring

	mu  sync.Mutex
	err error
}

// headroom is how far behind the end of the log the reader begins, so that lanes that were checkpointed a moment ago find
// their place in the ring.
const headroom = 1000

// startReader finds the end of the log. Nothing is read before run.
func startReader(ctx context.Context, l *log.Log) (*reader, error) {
	end, err := l.End(ctx, 0)
	if err != nil {
		return nil, err
	}
	first := uint64(1)
	if end > headroom {
		first = end - headroom + 1
	}
	return &reader{log: l, ring: newRing(first)}, nil
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	for wait := 50 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		before := r.ring.next()
		err := r.follow(ctx, before)
		if ctx.Err() != nil {
			return
		}
		if r.ring.next() > before {
			wait = 50 * time.Millisecond
		}
		if r.report(err); err == nil {
			continue
		}
		r.log.Logger().Warn("reader interrupted", "next", r.ring.next(), "error", err)
		if !Sleep(ctx, wait) {
			return
		}
	}
}

// follow reads until it is interrupted, and fills a gap that it comes to.
func (r *reader) follow(ctx context.Context, from uint64) error {
	if r.problem() != nil {
		// Nothing may be appended for hours, and no message would show that the log can be read again.
		end, err := r.log.End(ctx, 0)
		if err != nil {
			return err
		}
		if end < from {
			r.report(nil)
		}
	}
	err := r.log.Follow(ctx, from, func(m log.Message) error {
		r.add(m)
		return nil
	})
	var gap *log.GapError
	if errors.As(err, &gap) {
		return r.fill(ctx, gap)
	}
	return err
}

func (r *reader) add(m log.Message) {
	r.log.Observe(m)
	item := &Item{Message: m}
	r.observe(item)
	r.ring.add(item)
	r.report(nil)
}

// fill takes what the log lacks from the archive. Where the archive lacks it too the reader stands still, and with it whatever
// decides or acts in this process: what it would decide could leave something out.
func (r *reader) fill(ctx context.Context, gap *log.GapError) error {
	if r.missing == nil {
		return gap
	}
	messages, err := r.missing(ctx, gap.From, gap.To)
	if err != nil {
		return fmt.Errorf("%w (archive: %w)", gap, err)
	}
	for _, m := range messages {
		if m.Sequence != r.ring.next() {
			return fmt.Errorf("%w, and the archive lacks %d", gap, r.ring.next())
		}
		r.add(r.log.Adopt(m))
	}
	if r.ring.next() <= gap.To {
		return fmt.Errorf("%w, and the archive lacks %d", gap, r.ring.next())
	}
	r.log.Logger().Error("the log is damaged: missing events were taken from the archive", "from", gap.From, "to", gap.To)
	return nil
}

func (r *reader) report(err error) {
	r.log.ReportReader("", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// problem is why the reader stands still, nil when it does not. Following the log outlasts broken connections without a
// word, so the connection is looked at as well.
func (r *reader) problem() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && !r.log.JetStream().Conn().IsConnected() {
		return fmt.Errorf("read the log: %w: not connected to the broker", log.ErrUnavailable)
	}
	return r.err
}

// get reads one message that the lane knows the sequence of.
func (r *reader) get(ctx context.Context, sequence uint64) (*Item, error) {
	m, err := r.log.Get(ctx, sequence)
	if errors.Is(err, log.ErrNotFound) && r.missing != nil {
		messages, missingErr := r.missing(ctx, sequence, sequence)
		if missingErr == nil && len(messages) == 1 && messages[0].Sequence == sequence {
			return &Item{Message: r.log.Adopt(messages[0])}, nil
		}
	}
	return &Item{Message: m}, err
}

// cursor is a lane's place in the log.
type cursor struct {
	reader *reader
	next   uint64  // sequence of the message that is taken next
	page   []*Item // read from the log and not taken yet
	raw    bool    // its lane handles messages without looking into them
}

// Bounds of what a lane that is behind the ring reads at once.
const (
	pageItems = 2000
	pageBytes = 4 << 20
)

var errPageFull = errors.New("page full")

// take returns what is there from the cursor's place on, at most limit, and moves on. It returns nothing when the lane has
// caught up, and [events.ErrNewer] when the next event is one that only a newer release understands.
func (c *cursor) take(ctx context.Context, limit int) (items []*Item, err error) {
	items, err = c.takeAny(ctx, limit)
	if err != nil || c.raw {
		return items, err
	}
	for n, item := range items {
		if err := c.reader.log.ReportNewer(item.Message); err != nil {
			c.page, c.next = append(slices.Clip(items[n:]), c.page...), item.Sequence
			if n == 0 {
				return nil, err
			}
			return items[:n], nil
		}
	}
	return items, nil
}

func (c *cursor) takeAny(ctx context.Context, limit int) (items []*Item, err error) {
	if len(c.page) == 0 {
		items, behind := c.reader.ring.take(c.next, limit)
		if !behind {
			c.next += uint64(len(items))
			return items, nil
		}
		if c.page, err = c.read(ctx); err != nil {
			return nil, err
		}
	}
	n := min(limit, len(c.page))
	items, c.page = c.page[:n:n], c.page[n:]
	c.next += uint64(n)
	return items, nil
}

// read reads a page of messages that the ring does not hold any more. A gap ends the page; it is looked into when the lane
// comes to it.
func (c *cursor) read(ctx context.Context) (page []*Item, err error) {
	most, bytes := int(min(pageItems, c.reader.ring.begin()-c.next)), 0
	err = c.reader.log.Follow(ctx, c.next, func(m log.Message) error {
		item := &Item{Message: m}
		page, bytes = append(page, item), bytes+size(item)
		if len(page) == most || bytes >= pageBytes {
			return errPageFull
		}
		return nil
	})
	var gap *log.GapError
	switch {
	case errors.Is(err, errPageFull), errors.As(err, &gap) && len(page) > 0:
		return page, nil
	case gap != nil && c.reader.missing != nil:
		return c.archived(ctx, gap, most)
	}
	return nil, err
}

// archived reads what the log lacks from the archive.
func (c *cursor) archived(ctx context.Context, gap *log.GapError, most int) (page []*Item, err error) {
	messages, err := c.reader.missing(ctx, c.next, min(gap.To, c.next+uint64(most)-1))
	if err != nil {
		return nil, fmt.Errorf("%w (archive: %w)", gap, err)
	}
	for _, m := range messages {
		if m.Sequence != c.next+uint64(len(page)) {
			break
		}
		page = append(page, &Item{Message: c.reader.log.Adopt(m)})
	}
	if len(page) == 0 {
		return nil, fmt.Errorf("%w, and the archive lacks %d", gap, c.next)
	}
	return page, nil
}
