package notifications

import (
	"context"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Act hands a queued message to the act, as its lane would.
func (s *Service) Act(ctx context.Context, e events.Event, p events.MessageQueued) error {
	return s.send(ctx, e, p)
}

// Record appends the result of a message.
func (s *Service) Record(ctx context.Context, e events.Event, orderID string, result events.Payload) error {
	return s.record(ctx, e, orderID, result)
}

// SwapLog puts another log in place and returns the one before.
func (s *Service) SwapLog(l *eventlog.Log) (before *eventlog.Log) {
	before, s.log = s.log, l
	return before
}

// SamplePlaced is what was ordered, and SampleOutcome, SampleConfirmed and SampleRefunded are what the inner tests tell.
var (
	SamplePlaced    = samplePlaced
	SampleOutcome   = sampleOutcome
	SampleConfirmed = confirmed
	SampleRefunded  = refunded
)
