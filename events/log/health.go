package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
)

// ErrMissing is returned by Probe when a stream or bucket of the shop does not exist, because it was deleted.
var ErrMissing = errors.New("missing on the broker")

// ErrNotStored is returned while the broker stores nothing that this process appends. The error is [ErrUnavailable] as well.
var ErrNotStored = errors.New("the broker does not store what is appended")

// trialAfter is how long after the last failed commit a process counts as able to append again. Without an end it would get no
// requests, and no commit could show that the broker works again.
const trialAfter = 10 * time.Second

// storing records whether the broker stores what this process appends.
type storing struct {
	mu     sync.Mutex
	since  time.Time // of the first failure after the last success; zero: no failure
	failed time.Time // of the last failure
	err    error     // of the last failure
	conns  uint64    // how often the connection had been restored at the last failure
}

// reportStored records that the broker has stored something, or why it has not.
func (l *core) reportStored(err error) {
	s := &l.storing
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.since, s.err = time.Time{}, nil
		return
	}
	s.failed, s.err, s.conns = time.Now(), err, l.conn.Stats().Reconnects
	if s.since.IsZero() {
		s.since = s.failed
	}
}

// Storing returns [ErrNotStored] while commits of this process fail for a reason of the broker, such as a full disk, otherwise
// nil. A commit that succeeds or a new connection, because the broker was restarted, ends the failure.
func (l *core) Storing() error {
	s := &l.storing
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || time.Since(s.failed) > trialAfter || l.conn.Stats().Reconnects > s.conns {
		return nil
	}
	return fmt.Errorf("%w: %w since %s: %w", ErrUnavailable, ErrNotStored, s.since.UTC().Format(time.RFC3339), s.err)
}

// Probe asks the broker whether every stream and bucket of the shop exists, and whether it stores a message. It returns
// [ErrMissing] with the names of those that were deleted, [ErrNotStored], or [ErrUnavailable] when the broker does not answer.
// The message is the announcement of this process, which is repeated anyway, so a shop without orders notices a full disk too.
func (l *core) Probe(ctx context.Context) error {
	group, asking := errgroup.WithContext(ctx)
	missing := make([]error, 0)
	var mu sync.Mutex
	for _, name := range l.streamNames() {
		group.Go(func() error {
			_, err := l.js.Stream(asking, name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, missingError(name))
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("ask the broker for its streams: %w: %w", ErrUnavailable, err)
	}
	if len(missing) > 0 {
		return errors.Join(missing...)
	}
	if err := l.announceOnce(ctx); err != nil {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrNotStored, err)
	}
	return nil
}

// streamNames returns the names of all streams of the shop, those of its buckets included.
func (l *core) streamNames() (names []string) {
	for _, s := range l.config.Topology.Streams {
		names = append(names, s.Name)
	}
	for _, b := range l.config.Topology.Buckets {
		names = append(names, "KV_"+b.Bucket)
	}
	return names
}

// missingError names a deleted stream and the remedy.
func missingError(name string) error {
	if name == events.StreamShop {
		return fmt.Errorf("stream %s is %w: stop all processes and restore it from the archive with `ops repair`", name, ErrMissing)
	}
	return fmt.Errorf("stream %s is %w: restart the processes, which create it again", name, ErrMissing)
}

// distrustUnwritten leaves requests open whose messages are beyond the end of the stream. A broker whose disk has failed returns a
// message that it could not write, although the stream does not have it (nats-server 2.15.2).
func (c *committer) distrustUnwritten(open []*request, outcomes []outcome) {
	if !slices.ContainsFunc(outcomes, func(o outcome) bool { return o.kind == outcomeStored }) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	info, err := c.log.shop.Info(ctx)
	for i, o := range outcomes {
		if o.kind == outcomeStored && (err != nil || o.first+uint64(len(open[i].messages))-1 > info.State.LastSeq) {
			outcomes[i] = outcome{}
		}
	}
}
