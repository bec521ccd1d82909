package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
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
	group.Go(func() { s.settleEverySecond(ctx) })
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

// deliver makes one attempt, with the fault that hits it. A failed delivery is queued again until its attempts are used up.
func (s *Server) deliver(ctx context.Context, d delivery) {
	s.mu.Lock()
	row := s.events.rows[d.index]
	kind := s.events.kinds[row.kind]
	s.mu.Unlock()
	e, err := s.readEvent(d.index, row)
	if err == nil && s.held(d, e) {
		return
	}
	if err == nil {
		err = s.post(ctx, d, e)
	}
	log := s.config.Logger.With("event_type", kind, "index", d.index, "attempt", d.attempt+1)
	switch {
	case err == nil:
		log.Debug("webhook delivered", "event", e.ID)
		s.delivered.Add(1)
		s.settleDelivery(d.index, e.ID)
	case ctx.Err() != nil:
		// The event stays pending for the next Run.
	case d.attempt >= len(s.config.RetryDelays):
		log.Error("webhook abandoned", "error", err)
		s.abandoned.Add(1)
		if e != nil {
			s.settleDelivery(d.index, e.ID)
		}
	default:
		delay := s.config.RetryDelays[d.attempt]
		log.Warn("webhook deferred", "delay", delay, "error", err)
		s.events.queue.retry(delivery{index: d.index, attempt: d.attempt + 1}, delay)
	}
}

// sendEvent sends an event with a signature; a status other than 2xx is an error.
func (s *Server) sendEvent(ctx context.Context, e *event, body []byte, secret string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, *s.webhookURL.Load(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("create request for event %s: %w", e.ID, err)
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	request.Header.Set("Stripe-Signature", signature(s.config.Now(), body, secret))
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
