package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// reorderWithin bounds how long the fault reorder holds an event back.
const reorderWithin = time.Second

// held reports whether a fault loses the event or holds it back. It is decided once, before the first attempt.
func (s *Server) held(d delivery, e *event) bool {
	if d.attempt > 0 || d.held {
		return false
	}
	d.held = true
	switch s.faults.pick(faultDrop, faultReorder, faultDelay) {
	case faultDrop:
		s.settleDelivery(d.index, e.ID)
	case faultReorder:
		s.events.queue.retry(d, time.Duration(s.faults.number(faultReorder, int(reorderWithin))))
	case faultDelay:
		s.events.queue.retry(d, time.Duration(s.Faults().Webhooks.DelayBy))
	default:
		return false
	}
	return true
}

// post delivers a signed event: twice, or after a forged one, if a fault hits. Faults hit the first attempt only.
func (s *Server) post(ctx context.Context, d delivery, e *event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	first := d.attempt == 0
	if first && s.faults.pick(faultForge) != "" {
		err := s.sendEvent(ctx, e, body, s.config.WebhookSecret+"forged")
		s.config.Logger.Debug("forged webhook answered", "event", e.ID, "answer", err)
	}
	if err := s.sendEvent(ctx, e, body, s.config.WebhookSecret); err != nil {
		return err
	}
	if first && s.faults.pick(faultDuplicate) != "" {
		return s.sendEvent(ctx, e, body, s.config.WebhookSecret)
	}
	return nil
}
