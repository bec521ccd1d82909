package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	eventlog "tillstream/events/log"
)

// reader follows the log for all lanes of the process.
type reader struct {
	log     *eventlog.Log
	missing func(ctx context.Context, from, to uint64) ([]eventlog.Message, error)
	observe func(*Item)
	ring    *ring

	mu  sync.Mutex
	err error
}

// headroom is how many messages before the end of the log the reader begins, so that the ring holds the position of a lane
// with a recent checkpoint.
const headroom = 1000

// How long the reader waits before it follows the log again after an interruption.
const (
	followInitial = 50 * time.Millisecond
	followMaximum = 5 * time.Second
)

// startReader finds the end of the log. Nothing is read before run.
func startReader(ctx context.Context, l *eventlog.Log) (*reader, error) {
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
	for delays := doubling(followInitial, followMaximum); ctx.Err() == nil; {
		before := r.ring.next()
		err := r.follow(ctx, before)
		if ctx.Err() != nil {
			return
		}
		if r.ring.next() > before {
			delays.Reset()
		}
		if r.report(err); err == nil {
			continue
		}
		r.log.Logger().Warn("reader interrupted", "next", r.ring.next(), "error", err)
		if !Sleep(ctx, delays.NextBackOff()) {
			return
		}
	}
}

// follow reads until it is interrupted, and fills a gap from the archive.
func (r *reader) follow(ctx context.Context, from uint64) error {
	if r.problem() != nil {
		// After an interruption at the end of the log no message arrives that would clear the error.
		end, err := r.log.End(ctx, 0)
		if err != nil {
			return err
		}
		if end < from {
			r.report(nil)
		}
	}
	r.addFilled()
	err := r.log.Follow(ctx, r.ring.next(), func(m eventlog.Message) error {
		r.add(m)
		return nil
	})
	var gap *eventlog.GapError
	if errors.As(err, &gap) {
		return r.fill(ctx, gap)
	}
	return err
}

func (r *reader) add(m eventlog.Message) {
	r.log.Observe(m)
	item := &Item{Message: m}
	r.observe(item)
	r.ring.add(item)
	r.report(nil)
}

// fill reads the messages of a gap from the archive. If the archive lacks one too, the reader stops there, and with it every
// decide and act lane of the process: a decision could miss an event.
func (r *reader) fill(ctx context.Context, gap *eventlog.GapError) error {
	err := r.fillGap(ctx, *gap)
	r.addFilled()
	return err
}

// addFilled adds the messages that come next and were filled. At the end of the log no message follows that would show the gap.
func (r *reader) addFilled() {
	for m, ok := r.log.Filled(r.ring.next()); ok; m, ok = r.log.Filled(r.ring.next()) {
		r.add(m)
	}
}

// fillGap gives the log the messages of a gap from the archive.
func (r *reader) fillGap(ctx context.Context, gap eventlog.GapError) error {
	if r.log.IsFilled(gap) {
		return nil
	}
	if r.missing == nil {
		return &gap
	}
	messages, err := r.missing(ctx, gap.From, gap.To)
	if err != nil {
		return fmt.Errorf("%w (archive: %w)", &gap, err)
	}
	next := gap.From
	for _, m := range messages {
		if m.Sequence != next {
			break
		}
		next++
	}
	if have := (eventlog.GapError{From: gap.From, To: next - 1}); next > gap.From {
		if err := r.log.FillGap(ctx, have, messages[:next-gap.From]); err != nil {
			return fmt.Errorf("%w: %w", &gap, err)
		}
	}
	if next <= gap.To {
		return fmt.Errorf("%w, and the archive lacks %d", &eventlog.GapError{From: next, To: gap.To}, next)
	}
	return nil
}

func (r *reader) report(err error) {
	r.log.ReportReader("", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// problem returns why the reader cannot read, nil when it can. Following the log survives a broken connection without an
// error, so the connection is checked too.
func (r *reader) problem() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && !r.log.JetStream().Conn().IsConnected() {
		return fmt.Errorf("read the log: %w: not connected to the broker", eventlog.ErrUnavailable)
	}
	return r.err
}

// get reads the message at a sequence, from the archive if the log lacks it.
func (r *reader) get(ctx context.Context, sequence uint64) (*Item, error) {
	m, err := r.log.Get(ctx, sequence)
	if errors.Is(err, eventlog.ErrNotFound) && r.missing != nil {
		messages, missingErr := r.missing(ctx, sequence, sequence)
		if missingErr == nil && len(messages) == 1 && messages[0].Sequence == sequence {
			return &Item{Message: r.log.Adopt(messages[0])}, nil
		}
	}
	return &Item{Message: m}, err
}

// cursor is a lane's read position in the log.
type cursor struct {
	reader *reader
	next   uint64  // sequence of the next message
	page   []*Item // read from the log and not taken yet
	raw    bool    // messages of newer releases are taken too
}

// Bounds of a page: the messages that a lane behind the ring reads at once.
const (
	pageItems = 2000
	pageBytes = 4 << 20
)

var errPageFull = errors.New("page full")

// take returns at most limit messages and advances. It returns none when the lane has caught up, and [events.ErrNewer] when
// only a newer release can read the next message.
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

// read reads a page of messages that the ring has dropped. A gap ends the page, and is handled when the lane reaches it.
func (c *cursor) read(ctx context.Context) (page []*Item, err error) {
	limit, bytes := int(min(pageItems, c.reader.ring.begin()-c.next)), 0
	err = c.reader.log.Follow(ctx, c.next, func(m eventlog.Message) error {
		item := &Item{Message: m}
		page, bytes = append(page, item), bytes+size(item)
		if len(page) == limit || bytes >= pageBytes {
			return errPageFull
		}
		return nil
	})
	var gap *eventlog.GapError
	switch {
	case errors.Is(err, errPageFull), errors.As(err, &gap) && len(page) > 0:
		return page, nil
	case gap != nil && c.reader.missing != nil:
		return c.readArchive(ctx, gap, limit)
	}
	return nil, err
}

// readArchive reads a page of the messages that the log lacks.
func (c *cursor) readArchive(ctx context.Context, gap *eventlog.GapError, limit int) (page []*Item, err error) {
	messages, err := c.reader.missing(ctx, c.next, min(gap.To, c.next+uint64(limit)-1))
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
