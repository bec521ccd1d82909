package sandbox

import (
	"bytes"
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

// Run delivers webhooks until ctx ends. Deliveries that ctx cuts short count as
// not made; the next Run, of this or a later process, makes them again.
func (s *Server) Run(ctx context.Context) error {
	work := make(chan delivery)
	var group sync.WaitGroup
	for range deliveryConcurrent {
		group.Go(func() {
			for d := range work {
				s.deliver(ctx, d)
			}
		})
	}
	s.events.out.feed(ctx, work)
	close(work)
	group.Wait()
	return nil
}

// SetWebhookURL says where deliveries go from now on. Events that happened
// before there was an address have waited for it.
func (s *Server) SetWebhookURL(address string) error {
	if err := checkURL(address); err != nil {
		return fmt.Errorf("set webhook address: %w", err)
	}
	s.webhookURL.Store(&address)
	s.events.out.open(address != "")
	return nil
}

// subscribed reports whether events of that type are delivered.
func (s *Server) subscribed(kind string) bool {
	return len(s.config.WebhookEvents) > 0 && matcher(s.config.WebhookEvents)(kind)
}

// deliver makes one attempt and decides what follows from its outcome.
func (s *Server) deliver(ctx context.Context, d delivery) {
	s.mu.Lock()
	row := s.events.rows[d.place]
	kind := s.events.kinds[row.kind]
	s.mu.Unlock()
	e, err := s.readEvent(d.place, row)
	if err == nil {
		err = s.post(ctx, e)
	}
	log := s.config.Logger.With("event_type", kind, "place", d.place, "attempt", d.attempt+1)
	switch {
	case err == nil:
		log.Debug("webhook delivered", "event", e.ID)
		s.settleDelivery(d.place, e.ID)
	case ctx.Err() != nil:
		// Stopped, not failed: the event stays undelivered.
	case d.attempt >= len(s.config.RetryDelays):
		log.Error("webhook given up", "error", err)
		if e != nil {
			s.settleDelivery(d.place, e.ID)
		}
	default:
		delay := s.config.RetryDelays[d.attempt]
		log.Warn("webhook will be tried again", "in", delay, "error", err)
		s.events.out.retry(delivery{place: d.place, attempt: d.attempt + 1}, delay)
	}
}

// post sends one signed event; anything but a 2xx is a failure.
func (s *Server) post(ctx context.Context, e *event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, *s.webhookURL.Load(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("address event %s: %w", e.ID, err)
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	request.Header.Set("Stripe-Signature", signature(s.config.Now(), body, s.config.WebhookSecret))
	response, err := s.config.WebhookClient.Do(request)
	if err != nil {
		return fmt.Errorf("deliver event %s: %w", e.ID, err)
	}
	defer response.Body.Close()
	// The rest of the answer is read so that the connection can be used again.
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)); err != nil {
		return fmt.Errorf("read answer to event %s: %w", e.ID, err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("deliver event %s: answered %s", e.ID, response.Status)
	}
	return nil
}

// signature is the value of the Stripe-Signature header.
func signature(at time.Time, body []byte, secret string) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(seconds + "."))
	mac.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// settleDelivery notes that an event needs no further delivery. If the note is
// lost the event is delivered again, which its receiver has to bear anyway.
func (s *Server) settleDelivery(place int, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events.rows[place].pending = false
	buf, _, err := appendLine(nil, lineHead{Kind: lineDelivered, ID: id}, nil)
	if err == nil {
		_, err = s.journal.commit(append(buf, endLine...))
	}
	if err != nil {
		s.config.Logger.Error("note webhook delivery", "event", id, "error", err)
	}
}
