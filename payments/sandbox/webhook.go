package sandbox

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// DefaultWebhookEvents are the results of payments, refunds and disputes: what package payments needs.
func DefaultWebhookEvents() []string {
	return []string{
		"payment_intent.amount_capturable_updated",
		"payment_intent.succeeded",
		"payment_intent.payment_failed",
		"payment_intent.canceled",
		"payment_intent.requires_action",
		"payment_intent.processing",
		"charge.expired",
		"charge.refunded",
		"charge.refund.updated",
		"refund.created",
		"refund.updated",
		"charge.dispute.created",
		"charge.dispute.updated",
		"charge.dispute.closed",
		"charge.dispute.funds_withdrawn",
		"charge.dispute.funds_reinstated",
	}
}

const (
	deliveryTimeout     = 10 * time.Second
	deliveryConcurrency = 16
	deliveryAttempts    = 20
	minRetryDelay       = 100 * time.Millisecond
	maxRetryDelay       = time.Minute
)

func doublingDelays(n int) []time.Duration {
	delays := make([]time.Duration, n)
	next := minRetryDelay
	for i := range delays {
		delays[i] = next
		next = min(2*next, maxRetryDelay)
	}
	return delays
}

func newWebhookClient() *http.Client {
	return &http.Client{
		Timeout: deliveryTimeout,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: deliveryConcurrency,
			MaxConnsPerHost:     deliveryConcurrency,
			IdleConnTimeout:     time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Run delivers webhooks until ctx ends. Deliveries that ctx interrupts are repeated by the next Run, in this or a later
// process.
func (s *Server) Run(ctx context.Context) error {
	work := make(chan delivery)
	var group sync.WaitGroup
	for range deliveryConcurrency {
		group.Go(func() {
			for d := range work {
				s.deliver(ctx, d)
			}
		})
	}
	s.events.queue.feed(ctx, work)
	close(work)
	group.Wait()
	return nil
}

// SetWebhookURL sets the address of deliveries. Events that are waiting are delivered too.
func (s *Server) SetWebhookURL(address string) error {
	if err := checkURL(address); err != nil {
		return fmt.Errorf("set webhook URL: %w", err)
	}
	s.webhookURL.Store(&address)
	s.events.queue.open(address != "")
	return nil
}

// subscribed reports whether events of that type are delivered.
func (s *Server) subscribed(kind string) bool {
	return len(s.config.WebhookEvents) > 0 && typeMatcher(s.config.WebhookEvents)(kind)
}

// deliver makes one attempt. A failed delivery is queued again until its attempts are used up.
func (s *Server) deliver(ctx context.Context, d delivery) {
	s.mu.Lock()
	row := s.events.rows[d.index]
	kind := s.events.kinds[row.kind]
	s.mu.Unlock()
	e, err := s.readEvent(d.index, row)
	if err == nil {
		err = s.post(ctx, e)
	}
	log := s.config.Logger.With("event_type", kind, "index", d.index, "attempt", d.attempt+1)
	switch {
	case err == nil:
		log.Debug("webhook delivered", "event", e.ID)
		s.settleDelivery(d.index, e.ID)
	case ctx.Err() != nil:
		// The event stays pending for the next Run.
	case d.attempt >= len(s.config.RetryDelays):
		log.Error("webhook abandoned", "error", err)
		if e != nil {
			s.settleDelivery(d.index, e.ID)
		}
	default:
		delay := s.config.RetryDelays[d.attempt]
		log.Warn("webhook deferred", "delay", delay, "error", err)
		s.events.queue.retry(delivery{index: d.index, attempt: d.attempt + 1}, delay)
	}
}

// post sends one signed event; a status other than 2xx is an error.
func (s *Server) post(ctx context.Context, e *event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, *s.webhookURL.Load(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("create request for event %s: %w", e.ID, err)
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	request.Header.Set("Stripe-Signature", signature(s.config.Now(), body, s.config.WebhookSecret))
	response, err := s.config.WebhookClient.Do(request)
	if err != nil {
		return fmt.Errorf("deliver event %s: %w", e.ID, err)
	}
	defer response.Body.Close()
	// A connection can be reused only after the whole answer is read.
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)); err != nil {
		return fmt.Errorf("read answer to event %s: %w", e.ID, err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("deliver event %s: answered %s", e.ID, response.Status)
	}
	return nil
}

// signature returns the value of the Stripe-Signature header.
func signature(at time.Time, body []byte, secret string) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(seconds + "."))
	mac.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// settleDelivery records that an event needs no further delivery. If this fails the event is delivered again, which receivers
// must tolerate anyway.
func (s *Server) settleDelivery(index int, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events.rows[index].pending = false
	buf, _, err := appendLine(nil, lineHead{Kind: lineDelivered, ID: id}, nil)
	if err == nil {
		_, err = s.journal.Append(append(buf, endLine...))
	}
	if err != nil {
		s.config.Logger.Error("record webhook delivery", "event", id, "error", err)
	}
}

// delivery is an event to deliver and the number of earlier attempts.
type delivery struct {
	index   int
	attempt int
}

// deliveryQueue orders deliveries: new ones as they arrive, failed ones when they are due again.
type deliveryQueue struct {
	wake chan struct{} // has a token after a change

	mu     sync.Mutex
	opened bool // a webhook URL is set
	fresh  []delivery
	failed retryHeap
}

func newDeliveryQueue() *deliveryQueue { return &deliveryQueue{wake: make(chan struct{}, 1)} }

func (q *deliveryQueue) push(index int) {
	q.mu.Lock()
	q.fresh = append(q.fresh, delivery{index: index})
	q.mu.Unlock()
	q.signal()
}

func (q *deliveryQueue) retry(d delivery, after time.Duration) {
	q.mu.Lock()
	heap.Push(&q.failed, dueDelivery{delivery: d, due: time.Now().Add(after)})
	q.mu.Unlock()
	q.signal()
}

func (q *deliveryQueue) open(opened bool) {
	q.mu.Lock()
	q.opened = opened
	q.mu.Unlock()
	q.signal()
}

func (q *deliveryQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it has a token
	}
}

// feed sends deliveries to work until ctx ends. It puts back a delivery that was not received by then.
func (q *deliveryQueue) feed(ctx context.Context, work chan<- delivery) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		d, ok, wait := q.next(time.Now())
		if ok {
			select {
			case work <- d:
				continue
			case <-ctx.Done():
				q.retry(d, 0)
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-q.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// next removes the delivery that is due, or returns how long to wait for one.
func (q *deliveryQueue) next(now time.Time) (d delivery, ok bool, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	const idle = time.Hour
	switch {
	case !q.opened:
		return delivery{}, false, idle
	case len(q.failed) > 0 && !q.failed[0].due.After(now):
		return heap.Pop(&q.failed).(dueDelivery).delivery, true, 0
	case len(q.fresh) > 0:
		d, q.fresh = q.fresh[0], q.fresh[1:]
		return d, true, 0
	case len(q.failed) > 0:
		return delivery{}, false, q.failed[0].due.Sub(now)
	}
	return delivery{}, false, idle
}

// dueDelivery is a failed delivery and the time of its next attempt.
type dueDelivery struct {
	delivery
	due time.Time
}

// retryHeap has the delivery that is due first at index 0.
type retryHeap []dueDelivery

// Len implements heap.Interface.
func (h retryHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h retryHeap) Less(a, b int) bool { return h[a].due.Before(h[b].due) }

// Swap implements heap.Interface.
func (h retryHeap) Swap(a, b int) { h[a], h[b] = h[b], h[a] }

// Push implements heap.Interface.
func (h *retryHeap) Push(d any) { *h = append(*h, d.(dueDelivery)) }

// Pop implements heap.Interface.
func (h *retryHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
