package notifications

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// attemptState is what this process knows about the attempts to send a message and the log does not contain.
type attemptState struct {
	undelivered int            // the last attempt that ended without delivery; 0 for none
	result      events.Payload // the result of the message, if it is known but could not be recorded
	refused     bool           // the server refused the shop at the last attempt
	accepted    uint64         // Service.accepted at the last attempt
}

var errInProgress = errors.New("another process may be sending the message")

// send handles a queued message: it decides the next step of the message, takes it, and records the result.
func (s *Service) send(ctx context.Context, e events.Event, p events.MessageQueued) error {
	known, _ := s.attempts.Get(p.MessageID)
	if known.result != nil {
		return s.record(ctx, e, p.OrderID, known.result)
	}
	n, _, err := Notifications.ReadAtLeast(ctx, s.log, p.OrderID, e.Sequence)
	if err != nil {
		return err
	}
	m, ok := n.Message(p.MessageID)
	if !ok {
		return worker.DeadLetter(fmt.Errorf("send message %s: its order has no such message", p.MessageID))
	}
	step, wait := m.Next(s.log.Now(), s.sendTimeout(), known.undelivered)
	switch step {
	case StepSend:
		return s.deliver(ctx, e, p, m)
	case StepWait:
		return worker.RetryAfter(wait, errInProgress)
	case StepGiveUp:
		return s.record(ctx, e, p.OrderID, events.MessageUnknown{OrderID: p.OrderID, MessageID: p.MessageID, Error: ErrUnanswered.Error()})
	}
	return nil
}

// sent reports whether a message has a result.
func (s *Service) sent(ctx context.Context, p events.MessageQueued) (worker.Done, error) {
	n, _, err := Notifications.Read(ctx, s.log, p.OrderID)
	if err != nil {
		return worker.Done{}, err
	}
	switch m, _ := n.Message(p.MessageID); m.Status {
	case StatusSent, StatusFailed, StatusUnknown:
		return worker.Done{What: "mail " + string(m.Status), When: m.ChangedAt}, nil
	}
	return worker.Done{}, nil
}

// deliver renders a message, sends it, and handles the result.
func (s *Service) deliver(ctx context.Context, e events.Event, p events.MessageQueued, m Message) error {
	placed, err := s.readPlaced(ctx, p.OrderID)
	if err != nil {
		return err
	}
	mail, err := s.renderer.render(p, placed)
	if err != nil {
		return worker.DeadLetter(err) // only a redrive with other templates can succeed
	}
	mail.Date, mail.From = s.log.Now(), s.from
	if !s.address(&mail, p.Template, placed.Customer) {
		return s.record(ctx, e, p.OrderID, events.MessageFailed{OrderID: p.OrderID, MessageID: p.MessageID, Error: "no address of staff is configured"})
	}
	if ended, err := s.checkLimit(ctx, e, p, mail.To.Address); ended || err != nil {
		return err
	}

	failpoint.At("notifications.before_smtp")
	begun := 0
	err = s.mailer.Send(ctx, mail, func() error {
		begun, err = s.startAttempt(ctx, e, p, mail.To.Address)
		return err
	})
	if begun > 0 {
		m.Attempt = begun
	}
	return s.handleResult(ctx, e, p, m, begun > 0, err)
}

// readPlaced reads the first event of an order. If it is not orders.placed the message becomes a dead letter, because a retry
// would find the same.
func (s *Service) readPlaced(ctx context.Context, orderID string) (events.OrderPlaced, error) {
	subject, err := events.Subject(events.PrefixOrder, orderID)
	if err != nil {
		return events.OrderPlaced{}, worker.DeadLetter(fmt.Errorf("read order %.80q: %w", orderID, err))
	}
	first, err := s.log.First(ctx, subject)
	if errors.Is(err, eventlog.ErrNotFound) {
		return events.OrderPlaced{}, worker.DeadLetter(fmt.Errorf("read order %s: %w", orderID, err))
	}
	if err != nil {
		return events.OrderPlaced{}, fmt.Errorf("read order %s: %w", orderID, err)
	}
	placed, ok := first.Payload.(events.OrderPlaced)
	if !ok || placed.OrderID != orderID {
		return events.OrderPlaced{}, worker.DeadLetter(fmt.Errorf("read order %s: its first event is %s of order %q", orderID, first.Type, placed.OrderID))
	}
	return placed, nil
}

// startAttempt appends the start of an attempt and returns its number. Of two concurrent calls one succeeds; the other returns
// errTakenOver, as it does if another process has already sent the message or recorded its result.
func (s *Service) startAttempt(ctx context.Context, e events.Event, p events.MessageQueued, to string) (attempt int, err error) {
	known, _ := s.attempts.Get(p.MessageID)
	err = s.log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.CausedBy(e)
		n, err := Notifications.Load(tx, p.OrderID)
		if err != nil {
			return err
		}
		m, _ := n.Message(p.MessageID)
		if step, _ := m.Next(tx.Now(), s.sendTimeout(), known.undelivered); step != StepSend {
			return errTakenOver
		}
		sending := m.Start(p.OrderID, to)
		attempt = sending.Attempt
		return Notifications.Append(tx, p.OrderID, sending)
	})
	if err != nil {
		return 0, err
	}
	return attempt, nil
}

// handleResult records the result of an attempt, or returns when to try again.
func (s *Service) handleResult(ctx context.Context, e events.Event, p events.MessageQueued, m Message, begun bool, err error) error {
	text := redact(err)
	switch {
	case err == nil:
		s.accepted.Add(1)
		return s.record(ctx, e, p.OrderID, events.MessageSent{OrderID: p.OrderID, MessageID: p.MessageID})
	case errors.Is(err, errTakenOver):
		return worker.RetryAfter(s.sendTimeout(), err) // the other process may die before it has the result
	case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, eventlog.ErrContention), errors.Is(err, eventlog.ErrUnreadable):
		return err
	case errors.Is(err, ErrShopRefused):
		return s.openCircuit(ctx, p, m, begun, errors.New(text))
	case errors.Is(err, ErrRefused):
		return s.record(ctx, e, p.OrderID, events.MessageFailed{OrderID: p.OrderID, MessageID: p.MessageID, Error: text})
	case errors.Is(err, ErrUnanswered) && m.canResend():
		return worker.RetryAfter(s.sendTimeout(), errors.New(text))
	case errors.Is(err, ErrUnanswered):
		return s.record(ctx, e, p.OrderID, events.MessageUnknown{OrderID: p.OrderID, MessageID: p.MessageID, Error: text})
	case m.Overdue(s.log.Now()):
		return s.record(ctx, e, p.OrderID, events.MessageFailed{OrderID: p.OrderID, MessageID: p.MessageID, Error: "retried for too long: " + text})
	}
	if begun {
		s.attempts.Add(p.MessageID, attemptState{undelivered: m.Attempt})
	}
	wait := s.backoff(worker.Attempt(ctx), err)
	if errors.Is(err, errRecipientDeferred) {
		return worker.Defer(wait, errors.New(text))
	}
	return worker.RetryAfter(wait, errors.New(text))
}

// The longest delays for faults of the server and of the shop's account. Once the fault is repaired, no mail must wait for an
// hour.
const (
	maxServerDelay  = 30 * time.Second
	maxRefusedDelay = 5 * time.Minute
)

// backoff returns the delay after an attempt that ended with err.
func (s *Service) backoff(attempt int, err error) time.Duration {
	wait := s.config.Backoff(attempt)
	switch {
	case errors.Is(err, errServerDown):
		return min(wait, maxServerDelay)
	case errors.Is(err, ErrShopRefused):
		return min(wait, maxRefusedDelay)
	}
	return wait
}

// openCircuit opens the circuit of the lane, because the server would refuse every other mail too. The refused mail was not
// delivered, even if all of it was transmitted. It is sent when the server accepts the shop again, without a time limit.
//
// If the server refuses this mail again and has accepted other mails in between, it does not refuse the shop as a whole: the
// account may be limited to some addresses, or to a number of mails per hour. Then only this mail waits.
func (s *Service) openCircuit(ctx context.Context, p events.MessageQueued, m Message, begun bool, err error) error {
	known, _ := s.attempts.Get(p.MessageID)
	accepted := s.accepted.Load()
	alone := known.refused && known.accepted != accepted
	known.refused, known.accepted = true, accepted
	if begun {
		known.undelivered = m.Attempt
	}
	s.attempts.Add(p.MessageID, known)
	if alone {
		return worker.RetryAfter(s.backoff(worker.Attempt(ctx), ErrShopRefused), err)
	}
	return worker.OpenCircuit(err)
}

// recordRetry is the delay of record between two attempts.
const recordRetry = 250 * time.Millisecond

// record appends the result of a message. While the log is unavailable it retries until the send timeout. If it returned
// earlier, another replica could get the event, find no result, and send the delivered mail again. After the timeout the result
// stays in memory, in case this process handles the event again; otherwise a known result would become unknown.
func (s *Service) record(ctx context.Context, e events.Event, orderID string, result events.Payload) error {
	messageID, _ := resultOf(result)
	waiting, cancel := context.WithTimeout(ctx, s.sendTimeout())
	defer cancel()
	err := s.appendResult(ctx, e, orderID, result)
	for worker.IsInfrastructure(err) && worker.Sleep(waiting, recordRetry) {
		err = s.appendResult(ctx, e, orderID, result)
	}
	if err != nil {
		s.attempts.Add(messageID, attemptState{result: result})
		return fmt.Errorf("record %s of message %s: %w", result.EventType(), messageID, err)
	}
	s.attempts.Remove(messageID)
	return nil
}

// appendResult appends the result of a message if its state allows one.
func (s *Service) appendResult(ctx context.Context, e events.Event, orderID string, result events.Payload) error {
	var facts []events.Payload
	err := s.log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.CausedBy(e)
		n, err := Notifications.Load(tx, orderID)
		if err != nil {
			return err
		}
		facts = n.Settle(result)
		return Notifications.Append(tx, orderID, facts...)
	})
	if err == nil {
		s.metrics.count(facts)
	}
	return err
}

// maxErrorText bounds the stored text of a mail server's reply.
const maxErrorText = 500

var mailAddress = regexp.MustCompile(`[^\s<>"'(),;:]+@[^\s<>"'(),;:]+`)

// redact returns the text of an error without mail addresses, which servers repeat in their replies. The text is logged.
func redact(err error) string {
	if err == nil {
		return ""
	}
	text := mailAddress.ReplaceAllString(oneLine(err.Error()), "[address]")
	return strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "") // the cut may split a character, which JSON refuses
}
