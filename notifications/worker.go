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

// Notifications are the entities of this domain: one per order, under the order's id.
var Notifications = eventlog.Entity[Notification]{Prefix: events.PrefixNotification, Apply: Apply}

// Worker queues a message for every outcome of an order, and hands queued messages to the mail server.
func (s *Service) Worker() worker.Domain {
	return worker.Domain{
		Name: "notifications", Log: s.log,
		Routes: []worker.Route{
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderConfirmed) error {
				return s.queue(tx, e, Confirmed(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderRejected) error {
				return s.queue(tx, e, Rejected(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderExpired) error {
				return s.queue(tx, e, Expired(p, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderCancelled) error {
				return s.queue(tx, e, Cancelled(p, e.Actor, e.Time))
			}),
			worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderRefunded) error {
				return s.queue(tx, e, Refunded(p, e.Time))
			}),
		},
		Actors: []worker.Actor{{Name: "notifications.mail", Concurrency: s.config.Concurrency, Routes: []worker.ActRoute{worker.Do(s.send)}}},
	}
}

// queue appends the message of an outcome. Most orders have but one, so none before it is expected; a refund follows one.
func (s *Service) queue(tx *eventlog.Tx, e events.Event, o Outcome) error {
	load := Notifications.LoadNew
	if o.Template == TemplateRefunded {
		load = Notifications.Load
	}
	n, err := load(tx, o.Facts.OrderID)
	if err != nil {
		return err
	}
	facts, err := n.Queue(o, e.ID, s.domain)
	if err != nil {
		return err
	}
	return Notifications.Append(tx, o.Facts.OrderID, facts...)
}

// verdict is what this process has learnt of a message's hand-overs.
type attemptState struct {
	undelivered int            // the last one that ended without delivery; 0: none
	result      events.Payload // what the message came to, if that could not be recorded
	refused     bool           // the server refused the shop when this message was handed over last
	accepted    uint64         // Service.accepted at that moment
}

var errInProgress = errors.New("somebody may be sending it")

// send is the act: it looks what is to be done about a message, does it, and records the result.
func (s *Service) send(ctx context.Context, e events.Event, p events.MessageQueued) error {
	known, _ := s.known.Get(p.MessageID)
	if known.result != nil {
		return s.record(ctx, e, p.OrderID, known.result)
	}
	n, _, err := Notifications.ReadAtLeast(ctx, s.log, p.OrderID, e.Sequence)
	if err != nil {
		return err
	}
	m, ok := n.Message(p.MessageID)
	if !ok {
		return worker.DeadLetter(fmt.Errorf("message %s is not among those of its order", p.MessageID))
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

// deliver speaks to the mail server and decides what its answer means.
func (s *Service) deliver(ctx context.Context, e events.Event, p events.MessageQueued, m Message) error {
	placed, err := s.readPlaced(ctx, p.OrderID)
	if err != nil {
		return err
	}
	mail, err := s.renderer.render(p, placed)
	if err != nil {
		return worker.DeadLetter(err) // new templates and a redrive mend it, repeating does not
	}
	mail.Date, mail.From = s.log.Now(), s.from
	mail.To.Name, mail.To.Address = placed.Customer.Name, placed.Customer.Email

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

// placed reads what was ordered: the order's first event. An order without one, or with another one, is not mended by
// repeating.
func (s *Service) readPlaced(ctx context.Context, orderID string) (events.OrderPlaced, error) {
	subject, err := events.Subject(events.PrefixOrder, orderID)
	if err != nil {
		return events.OrderPlaced{}, worker.DeadLetter(fmt.Errorf("read what was ordered: %w", err))
	}
	first, err := s.log.First(ctx, subject)
	if errors.Is(err, eventlog.ErrNotFound) {
		return events.OrderPlaced{}, worker.DeadLetter(fmt.Errorf("read what was ordered: %w", err))
	}
	if err != nil {
		return events.OrderPlaced{}, fmt.Errorf("read what was ordered: %w", err)
	}
	placed, ok := first.Payload.(events.OrderPlaced)
	if !ok || placed.OrderID != orderID {
		return events.OrderPlaced{}, worker.DeadLetter(fmt.Errorf("read what was ordered: %s begins with %s of order %q", subject, first.Type, placed.OrderID))
	}
	return placed, nil
}

// begin says that the mail's bytes are next and returns the attempt's number. It returns errTakenOver when the message has
// been settled or taken meanwhile: of two that come here at once one goes on.
func (s *Service) startAttempt(ctx context.Context, e events.Event, p events.MessageQueued, to string) (attempt int, err error) {
	known, _ := s.known.Get(p.MessageID)
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

// handleResult turns what the mail server said into a fact, or into another try.
func (s *Service) handleResult(ctx context.Context, e events.Event, p events.MessageQueued, m Message, begun bool, err error) error {
	said := redact(err)
	switch {
	case err == nil:
		s.accepted.Add(1)
		return s.record(ctx, e, p.OrderID, events.MessageSent{OrderID: p.OrderID, MessageID: p.MessageID})
	case errors.Is(err, errTakenOver):
		return worker.RetryAfter(s.sendTimeout(), err) // whoever has it may die of it
	case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, eventlog.ErrContention), errors.Is(err, eventlog.ErrUnreadable):
		return err
	case errors.Is(err, ErrShopRefused):
		return s.openCircuit(ctx, p, m, begun, errors.New(said))
	case errors.Is(err, ErrRefused):
		return s.record(ctx, e, p.OrderID, events.MessageFailed{OrderID: p.OrderID, MessageID: p.MessageID, Error: said})
	case errors.Is(err, ErrUnanswered) && m.canResend():
		return worker.RetryAfter(s.sendTimeout(), errors.New(said))
	case errors.Is(err, ErrUnanswered):
		return s.record(ctx, e, p.OrderID, events.MessageUnknown{OrderID: p.OrderID, MessageID: p.MessageID, Error: said})
	case m.Overdue(s.log.Now()):
		return s.record(ctx, e, p.OrderID, events.MessageFailed{OrderID: p.OrderID, MessageID: p.MessageID, Error: "given up: " + said})
	}
	if begun {
		s.known.Add(p.MessageID, attemptState{undelivered: m.Attempt})
	}
	wait := s.backoff(worker.Attempt(ctx), err)
	if errors.Is(err, errRecipientDeferred) {
		return worker.Defer(wait, errors.New(said))
	}
	return worker.RetryAfter(wait, errors.New(said))
}

// Longest waits where it is not the mail that has to wait. Once the server, or the shop's account there, is whole again,
// nobody is to wait for an hour.
const (
	maxServerDelay  = 30 * time.Second
	maxRefusedDelay = 5 * time.Minute
)

// backoff is how long a mail that was put off waits.
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

// hold has the whole lane wait, because the server would refuse every other mail too. The refused mail was not delivered,
// even when all of it was handed over: it is sent when the server takes mail of the shop again, however long that takes.
//
// Where the server has taken other mails since it refused this one, it does not refuse all of them (an account that may
// write to some addresses only, a limit per hour). Then this mail waits alone, and the others need not.
func (s *Service) openCircuit(ctx context.Context, p events.MessageQueued, m Message, begun bool, err error) error {
	known, _ := s.known.Get(p.MessageID)
	taken := s.accepted.Load()
	alone := known.refused && known.accepted != taken
	known.refused, known.accepted = true, taken
	if begun {
		known.undelivered = m.Attempt
	}
	s.known.Add(p.MessageID, known)
	if alone {
		return worker.RetryAfter(s.backoff(worker.Attempt(ctx), ErrShopRefused), err)
	}
	return worker.OpenCircuit(err)
}

// recordRetry is how long record waits before it tries once more.
const recordRetry = 250 * time.Millisecond

// record appends the result of a message. While the log is away it holds on to the event and tries again for as long as
// the claim lasts: let go, the event may come to another replica, which can only find that the sender fell silent, and
// sends a mail that has arrived once more. After that the result is kept in mind, in case the event comes back here:
// forgetting it would make an answered question an unknown outcome.
func (s *Service) record(ctx context.Context, e events.Event, orderID string, result events.Payload) error {
	messageID, _ := resultOf(result)
	holding, cancel := context.WithTimeout(ctx, s.sendTimeout())
	defer cancel()
	err := s.appendResult(ctx, e, orderID, result)
	for worker.IsInfrastructure(err) && worker.Sleep(holding, recordRetry) {
		err = s.appendResult(ctx, e, orderID, result)
	}
	if err != nil {
		s.known.Add(messageID, attemptState{result: result})
		return fmt.Errorf("record %s of %s: %w", result.EventType(), messageID, err)
	}
	s.known.Remove(messageID)
	return nil
}

// append states the result of a message, if it may still have one.
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
		s.metrics.settled(facts)
	}
	return err
}

// maxErrorText bounds what is kept of a mail server's words.
const maxErrorText = 500

var mailAddress = regexp.MustCompile(`[^\s<>"'(),;:]+@[^\s<>"'(),;:]+`)

// scrub writes an error down without the addresses that mail servers like to repeat: it goes into log files.
func redact(err error) string {
	if err == nil {
		return ""
	}
	text := mailAddress.ReplaceAllString(oneLine(err.Error()), "[address]")
	return strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "") // JSON refuses half a letter
}
