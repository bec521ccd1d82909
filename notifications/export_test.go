package notifications

import (
	"context"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Act runs the act for a queued message, as the lane does.
func (s *Service) Act(ctx context.Context, e events.Event, p events.MessageQueued) error {
	return s.send(ctx, e, p)
}

// Record appends the result of a message.
func (s *Service) Record(ctx context.Context, e events.Event, orderID string, result events.Payload) error {
	return s.record(ctx, e, orderID, result)
}

// SwapLog replaces the log and returns the old one.
func (s *Service) SwapLog(l *eventlog.Log) (before *eventlog.Log) {
	before, s.log = s.log, l
	return before
}

// MaxWaiting is how many mails to one recipient wait if the limit is one mail in an hour.
const MaxWaiting = maxWaiting

// The samples of the internal tests.
var (
	SamplePlaced    = samplePlaced
	SampleOutcome   = sampleOutcome
	SampleConfirmed = confirmed
	SampleRefunded  = refunded
)
