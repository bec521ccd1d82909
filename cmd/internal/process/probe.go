package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// probeEvery is the pause between two probes. A server that stops to answer is reported after at most a pause and a timeout.
const probeEvery = time.Second

// probe asks a server whether it works, again and again.
type probe struct {
	timeout time.Duration
	ask     func(context.Context) []Condition

	mu   sync.Mutex
	last []Condition
}

// run asks until ctx ends.
func (p *probe) run(ctx context.Context) {
	for {
		asking, cancel := context.WithTimeout(ctx, p.timeout)
		answer := p.ask(asking)
		cancel()
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.last = answer
		p.mu.Unlock()
		worker.Sleep(ctx, probeEvery)
	}
}

func (p *probe) result() []Condition {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// askBroker asks whether the broker has all streams and stores messages.
func (r *readiness) askBroker(ctx context.Context) []Condition {
	err := r.host.config.Log.Probe(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, eventlog.ErrMissing):
		return []Condition{{CodeStreamMissing, err}}
	case errors.Is(err, eventlog.ErrNotStored):
		return []Condition{{CodeNotStored, err}}
	}
	return []Condition{{CodeBrokerUnavailable, err}}
}

// archiveProbe asks the database for the end of the archive. It also shows whether the database answers.
type archiveProbe struct {
	archive *archive.Archive
	end     func() uint64 // of the log
	backlog backlog
	filled  time.Time // when the archive was last seen with content, or began to be observed
}

func newArchiveProbe(h *Host) *archiveProbe {
	return &archiveProbe{archive: archive.New(h.config.DB), end: h.worker.End, filled: time.Now()}
}

// emptyFor is how long an archive may be empty although the log is not: a new shop writes its first batch after seconds.
const emptyFor = 10 * time.Second

func (p *archiveProbe) ask(ctx context.Context) []Condition {
	end := p.end()
	head, err := p.archive.Head(ctx)
	now := time.Now()
	switch {
	case err != nil:
		return []Condition{{CodeDatabaseUnavailable, err}}
	case head.Last > 0 || end == 0:
		p.filled = now
	case now.Sub(p.filled) > emptyFor:
		return []Condition{{CodeArchiveEmpty, fmt.Errorf("the log has %d events, and its second copy none: `ops repair` fills it", end)}}
	}
	if err := p.backlog.far(archive.Lane, head.Last, end, now); err != nil {
		return []Condition{{CodeArchiveBehind, err}}
	}
	return nil
}

// How far a projection or the archive may be behind before it is reported.
const (
	behindEvents = 10_000
	behindFor    = time.Minute
)

// backlog measures for how long a reader of the log has been behind.
type backlog struct {
	mark uint64    // end of the log when the reader had reached the mark before
	at   time.Time // when that was
}

// far returns an error when a reader at a position is far behind the end.
func (b *backlog) far(name string, position, end uint64, now time.Time) error {
	if position >= b.mark {
		b.mark, b.at = end, now
	}
	if position >= end {
		return nil
	}
	events, since := end-position, now.Sub(b.at)
	if events <= behindEvents && since <= behindFor {
		return nil
	}
	return fmt.Errorf("%s is %d events behind, and has been behind for %.0f s", name, events, since.Seconds())
}

// projectionsBehind returns which projections that this process runs are far behind.
func (r *readiness) projectionsBehind(now time.Time) error {
	var problems []error
	end := r.host.worker.End()
	for _, l := range r.host.Lanes() {
		if l.Kind != worker.KindProject || !l.Leased {
			delete(r.backlog, l.Name)
			continue
		}
		b := r.backlog[l.Name]
		if b == nil {
			b = &backlog{}
			r.backlog[l.Name] = b
		}
		problems = append(problems, b.far(l.Name, l.Position, end, now))
	}
	return errors.Join(problems...)
}
