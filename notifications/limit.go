package notifications

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// limitPeriod is the period in which the mails to one recipient are counted.
const limitPeriod = time.Hour

// maxWaiting bounds the mails to one recipient that wait for room under the limit, as a multiple of the limit. Every waiting
// mail is an open act of the lane, and a lane takes only so many.
const maxWaiting = 5

// important lists the templates whose mails wait for room under the limit: they are about the customer's money. Others end as
// failed, because they would arrive hours after the order page has said the same.
var important = []string{TemplateConfirmed, TemplateRefunded, TemplateStaffDispute}

var errLimit = errors.New("limit of mails to this recipient")

// limiter bounds the mails to one recipient in an hour. It counts the attempts in the log, also those of other processes: it
// reads those of the last hour when this process sends its first mail, and follows the log from its start.
type limiter struct {
	limit int // mails to one recipient in limitPeriod
	seed  maphash.Seed

	loading sync.Mutex
	loaded  bool

	mu         sync.Mutex
	recipients map[uint64]*recent // by the hash of the recipient
	swept      time.Time
}

// recent are the mails to one recipient. Each counts once, however many attempts it needs.
type recent struct {
	sent    map[string]time.Time // the last attempt, by message id
	waiting map[string]time.Time // since the last attempt, by message id
}

func newLimiter(limit int) *limiter {
	return &limiter{limit: limit, seed: maphash.MakeSeed(), recipients: map[uint64]*recent{}}
}

// of returns the mails to an address. Providers deliver "name+anything@host" to the mailbox of "name@host", and ignore case.
func (l *limiter) of(address string) *recent {
	local, host, _ := strings.Cut(strings.ToLower(address), "@")
	local, _, _ = strings.Cut(local, "+")
	key := maphash.String(l.seed, local+"@"+host)
	r, ok := l.recipients[key]
	if !ok {
		r = &recent{sent: map[string]time.Time{}, waiting: map[string]time.Time{}}
		l.recipients[key] = r
	}
	return r
}

// expire removes the mails that no longer count at a time, and those that another process has sent in the meantime.
func (r *recent) expire(now time.Time) {
	maps.DeleteFunc(r.sent, func(_ string, at time.Time) bool { return now.Sub(at) >= limitPeriod })
	maps.DeleteFunc(r.waiting, func(_ string, at time.Time) bool { return now.Sub(at) >= 2*limitPeriod })
}

// observe counts an attempt that is in the log.
func (l *limiter) observe(e events.Event, p events.MessageSending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(e.Time)
	l.of(p.To).sent[p.MessageID] = e.Time
}

// sweep removes the recipients without recent mails, once per period.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < limitPeriod {
		return
	}
	l.swept = now
	for key, r := range l.recipients {
		if r.expire(now); len(r.sent)+len(r.waiting) == 0 {
			delete(l.recipients, key)
		}
	}
}

// reserve counts a mail that is about to be sent and returns 0, or how long it must wait. full reports that it cannot even wait:
// too many mails to its recipient do already.
func (l *limiter) reserve(address, messageID string, now time.Time) (wait time.Duration, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.of(address)
	r.expire(now)
	if _, counted := r.sent[messageID]; counted || len(r.sent) < l.limit {
		r.sent[messageID] = now
		delete(r.waiting, messageID)
		return 0, false
	}
	if _, waits := r.waiting[messageID]; !waits && len(r.waiting) >= maxWaiting*l.limit {
		return 0, true
	}
	r.waiting[messageID] = now
	oldest := slices.MinFunc(slices.Collect(maps.Values(r.sent)), time.Time.Compare)
	return limitPeriod - now.Sub(oldest), false
}

// load counts the attempts of the last hour, once.
func (l *limiter) load(ctx context.Context, from *eventlog.Log) error {
	l.loading.Lock()
	defer l.loading.Unlock()
	if l.loaded {
		return nil
	}
	since := from.Now().Add(-limitPeriod)
	_, err := from.Since(ctx, []string{events.PrefixNotification + "*"}, since, func(m eventlog.Message) error {
		if m.Type() != (events.MessageSending{}).EventType() {
			return nil
		}
		if e, err := m.Event(); err == nil { // an event that cannot be read is another release's or garbage
			l.follow(e)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the mails of the last hour: %w", err)
	}
	l.loaded = true
	return nil
}

// follow handles an event that this process has read.
func (l *limiter) follow(e events.Event) {
	if p, ok := e.Payload.(events.MessageSending); ok {
		l.observe(e, p)
	}
}

// checkLimit returns no error if a mail may be sent now. Over the limit an important mail is deferred, and another one ends as
// failed, which ended reports.
func (s *Service) checkLimit(ctx context.Context, e events.Event, p events.MessageQueued, address string) (ended bool, err error) {
	if err := s.limiter.load(ctx, s.log); err != nil {
		return false, err
	}
	wait, full := s.limiter.reserve(address, p.MessageID, s.log.Now())
	switch {
	case wait == 0 && !full:
		return false, nil
	case full, !slices.Contains(important, p.Template):
		return true, s.record(ctx, e, p.OrderID, events.MessageFailed{OrderID: p.OrderID, MessageID: p.MessageID, Error: errLimit.Error()})
	}
	return false, worker.Defer(wait, errLimit)
}
