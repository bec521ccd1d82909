package console

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

const (
	day  = 24 * time.Hour
	week = 7 * day

	// maxCounted is how many events before the last one are counted at most: at 100,000 events a second, 20 s of reading.
	maxCounted = 2_000_000
	// retryAfter is the wait after a read of the log that failed.
	retryAfter = time.Second
	// maxWaits is how many recent purchases the p99 is taken from.
	maxWaits = 10_000
)

// tally counts what the overview shows. It reads the log from the same weekday of last week on, at most [maxCounted] events, and
// then follows it. It is safe for concurrent use.
type tally struct {
	config Config

	mu      sync.Mutex
	since   time.Time // what was before is not counted
	seen    uint64    // last sequence that is counted
	caught  bool      // everything up to the start is counted
	minutes map[int64]*minute
	failing map[string]failure
	paid    map[string]time.Time // by order: when its payment was authorized, until it is confirmed
	waits   []wait
	staff   staffTally
}

// minute has the sums of one minute.
type minute struct {
	Orders            int
	Revenue, Refunded map[string]int64 // by currency, in minor units
}

// failure is something that went wrong outside and is not mended yet.
type failure struct {
	Type    string
	Subject string
	Order   string
	Text    string
	At      time.Time
	Event   uint64
}

// wait is how long an order waited from its payment to its confirmation.
type wait struct {
	At time.Time
	D  time.Duration
}

func newTally(config Config) *tally {
	return &tally{config: config, minutes: map[int64]*minute{}, failing: map[string]failure{}, paid: map[string]time.Time{}}
}

// startOfDay returns when a day began, in UTC.
func startOfDay(at time.Time) time.Time { return at.UTC().Truncate(day) }

// run counts until ctx ends.
func (t *tally) run(ctx context.Context) {
	for ctx.Err() == nil {
		part, err := t.rest(ctx)
		if err == nil {
			err = t.config.Log.Follow(ctx, part, t.caughtUp, func(m replay.Message) error { t.observe(m); return nil })
		}
		if ctx.Err() == nil {
			t.config.Logger.Warn("console counts interrupted", "error", err)
		}
		timer := time.NewTimer(retryAfter)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// rest returns the part of the log that is not counted yet.
func (t *tally) rest(ctx context.Context) (replay.Range, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen > 0 {
		return replay.Range{From: t.seen + 1}, nil
	}
	if err := t.readStaff(ctx); err != nil {
		return replay.Range{}, err
	}
	t.since = startOfDay(t.config.Now()).Add(-week)
	last, err := t.config.Log.Last(ctx)
	if err != nil || last <= maxCounted {
		return replay.Range{Since: t.since}, err
	}
	first, err := t.config.Log.Get(ctx, last-maxCounted)
	if errors.Is(err, replay.ErrNotFound) || err == nil && first.Stored.Before(t.since) {
		return replay.Range{Since: t.since}, nil
	}
	t.since = first.Stored
	return replay.Range{From: first.Sequence}, err
}

func (t *tally) caughtUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.caught = true
}

// observe counts one event. An event that cannot be read is counted nowhere: it is a dead letter of the lanes.
func (t *tally) observe(m replay.Message) {
	envelope, err := events.DecodeEnvelope(m.Subject, m.Header)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = m.Sequence
	if err != nil || !counted[envelope.Type] || m.Voided() {
		return
	}
	e, err := m.Event()
	if err != nil {
		return
	}
	t.count(e, m)
	t.settle(e, m)
	t.staff.observe(e)
}

// counted are the types that the tally reads.
var counted = map[string]bool{"orders.placed": true, "orders.confirmed": true, "payments.authorized": true, "payments.captured": true, "payments.refunded": true,
	"payments.refund_requested": true, "payments.refund_failed": true, "notifications.failed": true, "notifications.unknown": true, "notifications.sent": true, "notifications.sending": true,
	"ops.action_recorded": true, "ops.replay_requested": true, "ops.replay_approved": true, "ops.replay_stopped": true, "ops.replay_resumed": true}

// count adds an event to the sums of its minute.
func (t *tally) count(e events.Event, m replay.Message) {
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		t.minuteOf(e.Time).Orders++
	case events.PaymentAuthorized:
		t.paid[p.OrderID] = m.Stored
	case events.PaymentCaptured:
		t.minuteOf(e.Time).Revenue[p.Amount.Currency] += p.Amount.Amount
	case events.PaymentRefunded:
		t.minuteOf(e.Time).Refunded[p.Amount.Currency] += p.Amount.Amount
	case events.OrderConfirmed:
		if paid, ok := t.paid[e.CorrelationID]; ok {
			t.waits = append(t.waits, wait{m.Stored, m.Stored.Sub(paid)})
			t.waits = t.waits[max(0, len(t.waits)-maxWaits):]
			delete(t.paid, e.CorrelationID)
		}
	}
}

// minuteOf returns the sums of the minute of a time, and forgets minutes that no page shows any more.
func (t *tally) minuteOf(at time.Time) *minute {
	key := at.Unix() / 60
	if found, ok := t.minutes[key]; ok {
		return found
	}
	oldest := startOfDay(t.config.Now()).Add(-week).Unix() / 60
	maps.DeleteFunc(t.minutes, func(k int64, _ *minute) bool { return k < oldest })
	t.minutes[key] = &minute{Revenue: map[string]int64{}, Refunded: map[string]int64{}}
	return t.minutes[key]
}

// settle keeps the list of what went wrong.
func (t *tally) settle(e events.Event, m replay.Message) {
	f := failure{Type: e.Type, Subject: e.Subject, Order: e.CorrelationID, At: m.Stored, Event: m.Sequence, Text: replay.Summary(e)}
	switch p := e.Payload.(type) {
	case events.MessageFailed:
		t.failing[p.MessageID] = f
	case events.MessageUnknown:
		t.failing[p.MessageID] = f
	case events.MessageSending:
		delete(t.failing, p.MessageID)
	case events.MessageSent:
		delete(t.failing, p.MessageID)
	case events.PaymentRefundFailed:
		t.failing[p.RefundID] = f
	case events.PaymentRefunded:
		delete(t.failing, p.RefundID)
	case events.PaymentRefundRequested:
		delete(t.failing, p.Replaces)
	}
}

// sums has the sums of a part of a day.
type sums struct {
	Orders            int
	Revenue, Refunded []events.Money // one per currency
}

// between returns the sums of the minutes from one time to another.
func (t *tally) between(from, to time.Time) sums {
	t.mu.Lock()
	defer t.mu.Unlock()
	total := minute{Revenue: map[string]int64{}, Refunded: map[string]int64{}}
	for key := from.Unix() / 60; key <= to.Unix()/60; key++ {
		if m, ok := t.minutes[key]; ok {
			total.add(m)
		}
	}
	return sums{Orders: total.Orders, Revenue: amounts(total.Revenue), Refunded: amounts(total.Refunded)}
}

func (m *minute) add(o *minute) {
	m.Orders += o.Orders
	for currency, amount := range o.Revenue {
		m.Revenue[currency] += amount
	}
	for currency, amount := range o.Refunded {
		m.Refunded[currency] += amount
	}
}

func amounts(by map[string]int64) (all []events.Money) {
	for _, currency := range slices.Sorted(maps.Keys(by)) {
		all = append(all, events.Money{Amount: by[currency], Currency: currency})
	}
	return all
}

// failures returns what went wrong and is not mended, oldest first.
func (t *tally) failures() []failure {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Collect(maps.Values(t.failing))
	slices.SortFunc(all, func(a, b failure) int { return a.At.Compare(b.At) })
	return all
}

// p99 returns the wait that 99 of 100 purchases since a time stayed below; 0 without purchases.
func (t *tally) p99(since time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var recent []time.Duration
	for _, w := range t.waits {
		if !w.At.Before(since) {
			recent = append(recent, w.D)
		}
	}
	if len(recent) == 0 {
		return 0
	}
	slices.Sort(recent)
	return recent[(len(recent)*99-1)/100]
}

// scope says from when on the counts are, and whether they are complete up to now.
func (t *tally) scope() (since time.Time, complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since, t.caught
}
