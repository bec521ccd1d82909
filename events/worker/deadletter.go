package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Bounds of the fields that are copied into a dead letter, so that a dead letter fits into a message, however large the event is.
const (
	maxDeadLetterError = 4 << 10
	maxDeadLetterID    = 256
)

// codeWrongLastSequence is the error code of a cluster in place of [jetstream.JSErrCodeStreamWrongLastSequence]
// (nats-server/server/errors.json, JSStreamWrongLastSequenceConstantErr).
const codeWrongLastSequence jetstream.ErrorCode = 10164

// DeadLetterSubject is the subject, in [events.StreamDeadLetters], of a lane's dead letter of the event at a sequence.
func DeadLetterSubject(lane string, sequence uint64) string {
	return fmt.Sprintf("%s%s.%d", events.PrefixDeadLetter, lane, sequence)
}

// putDeadLetter opens the dead letter of an event that a lane cannot handle. Repeating it changes nothing, because the subject
// must be empty: a process that stops between the dead letter and the checkpoint repeats it.
func putDeadLetter(ctx context.Context, l *lane, item *Item, attempt int, cause error) error {
	dead, envelope := newDeadLetter(l, item, attempt)
	setCause(&dead, cause)
	envelope.Payload = dead
	return appendToDeadLetter(ctx, l, item.Sequence, envelope, 0)
}

// newDeadLetter returns the dead letter of a message without its cause, and its envelope without the dead letter.
func newDeadLetter(l *lane, item *Item, attempt int) (dead events.DeadLettered, envelope events.Event) {
	e, _ := item.Envelope() // as far as it can be read
	dead = events.DeadLettered{
		Worker: l.name, Sequence: item.Sequence, Subject: validUTF8(item.Subject), Type: validUTF8(truncate(e.Type, maxDeadLetterID)),
		EventID: validUTF8(truncate(e.ID, maxDeadLetterID)), Attempt: attempt,
	}
	return dead, events.Event{ID: deadLetterID(l, item.Sequence), CorrelationID: validUTF8(truncate(e.CorrelationID, maxDeadLetterID)),
		CausationID: dead.EventID}
}

// deadLetterID is the id of the event that opens a dead letter.
func deadLetterID(l *lane, sequence uint64) string { return fmt.Sprintf("%s-%d", l.name, sequence) }

// setCause writes into a dead letter why the event could not be handled.
func setCause(dead *events.DeadLettered, cause error) {
	dead.Error, dead.Fingerprint = validUTF8(truncate(cause.Error(), maxDeadLetterError)), fingerprint(dead.Worker, cause)
}

// appendToDeadLetter appends an event to a dead letter whose last message has the given sequence. A sequence conflict is no
// error: another process was faster, or an earlier attempt of this process was stored although its answer was lost.
func appendToDeadLetter(ctx context.Context, l *lane, sequence uint64, e events.Event, last uint64) error {
	stored, err := publishDeadLetter(ctx, l, sequence, e, last)
	if dead, ok := e.Payload.(events.DeadLettered); ok && stored {
		l.metrics.deadLetters.Inc()
		l.log.Logger().Error("dead letter", "lane", l.name, "sequence", sequence, "subject", dead.Subject, "attempt", dead.Attempt, "error", dead.Error)
	}
	return err
}

// publishDeadLetter appends an event to a dead letter whose last message has the given sequence. stored is false when the last
// message has another one.
func publishDeadLetter(ctx context.Context, l *lane, sequence uint64, e events.Event, last uint64) (stored bool, err error) {
	e.Subject, e.Source, e.Time = DeadLetterSubject(l.name, sequence), l.name, l.log.Now().UTC()
	msg, err := events.Encode(e)
	if err != nil {
		return false, fmt.Errorf("append to dead letter %s: %w", e.Subject, err)
	}
	_, err = l.log.JetStream().PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(last))
	if IsSequenceConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("append to dead letter %s: %w: %w", e.Subject, eventlog.ErrUnavailable, err)
	}
	return true, nil
}

// IsSequenceConflict reports whether the broker refused a message because its subject has a newer one than expected.
func IsSequenceConflict(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refused.ErrorCode == codeWrongLastSequence)
}

// validUTF8 replaces invalid UTF-8, which JSON refuses. The log keeps the original message.
func validUTF8(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func truncate(text string, limit int) string { return text[:min(len(text), limit)] }

// variable matches the parts of an error text that differ between two errors of one cause: ids, numbers, quoted input.
var variable = regexp.MustCompile(`"[^"]*"|[0-9a-fA-F-]{8,}|[0-9]+`)

// fingerprint is the same for errors of one cause, so that a thousand dead letters can be listed as one line.
func fingerprint(lane string, cause error) string {
	text := variable.ReplaceAllString(cause.Error(), "#")
	var p *panicError
	if errors.As(cause, &p) {
		text = p.frames
	}
	sum := sha256.Sum256([]byte(lane + "\n" + text))
	return hex.EncodeToString(sum[:6])
}

// frames names the functions of this module on the stack of a panic.
func frames() string {
	pcs := make([]uintptr, 32)
	callers := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var names []string
	for {
		frame, more := callers.Next()
		if strings.HasPrefix(frame.Function, "tillstream/") && !strings.Contains(frame.Function, "worker.safely") {
			names = append(names, fmt.Sprintf("%s:%d", strings.TrimPrefix(frame.Function, "tillstream/"), frame.Line))
		}
		if !more || len(names) == 5 {
			return strings.Join(names, " ")
		}
	}
}

// openDeadLetters counts the open dead letters of the lanes of a process. It follows the newest message of each dead letter,
// so the count is right after a restart, and when another process opens or settles a dead letter.
type openDeadLetters struct {
	log   *eventlog.Log
	lanes []string

	mu     sync.Mutex
	byLane map[string]map[uint64]bool
}

// deadLetterHeartbeat is how often the broker sends a heartbeat while there is no new message.
const deadLetterHeartbeat = 5 * time.Second

// watch keeps the count until ctx ends. While the broker is unavailable the count stays as it was.
func (w *openDeadLetters) watch(ctx context.Context) {
	retry(ctx, everySecond(), func() error { return w.follow(ctx) },
		func(err error) { w.log.Logger().Warn("dead letters not counted", "error", err) })
}

// follow counts from the beginning, and continues until ctx ends or the broker cannot be read.
func (w *openDeadLetters) follow(ctx context.Context) error {
	filters := make([]string, len(w.lanes))
	for i, lane := range w.lanes {
		filters[i] = events.PrefixDeadLetter + lane + ".*"
	}
	consumer, err := w.log.JetStream().OrderedConsumer(ctx, events.StreamDeadLetters,
		jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: filters})
	if err != nil {
		return fmt.Errorf("follow dead letters: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullHeartbeat(deadLetterHeartbeat))
	if err != nil {
		return fmt.Errorf("follow dead letters: %w", err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	counted := map[string]map[uint64]bool{}
	for _, lane := range w.lanes {
		counted[lane] = map[uint64]bool{}
	}
	for pending := consumer.CachedInfo().NumPending; ; {
		if pending == 0 {
			w.replace(counted)
		}
		msg, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("follow dead letters: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("follow dead letters: %w", err)
		}
		w.apply(counted, msg)
		pending = meta.NumPending
	}
}

// apply counts the newest message of a dead letter.
func (w *openDeadLetters) apply(counted map[string]map[uint64]bool, msg jetstream.Msg) {
	lane, sequence, ok := parseDeadLetterSubject(msg.Subject())
	if !ok || counted[lane] == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if msg.Headers().Get(events.HeaderType) == (events.DeadLettered{}).EventType() {
		counted[lane][sequence] = true
	} else {
		delete(counted[lane], sequence)
	}
}

// replace makes a new count the current one.
func (w *openDeadLetters) replace(counted map[string]map[uint64]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byLane = counted
}

// mayHave reports whether the dead letter of an event may be open: it was when this process last heard of it, or this process has
// not counted yet.
func (w *openDeadLetters) mayHave(lane string, sequence uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.byLane == nil || w.byLane[lane][sequence]
}

// count returns how many dead letters of a lane are open.
func (w *openDeadLetters) count(lane string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byLane[lane])
}

// parseDeadLetterSubject is the inverse of [DeadLetterSubject].
func parseDeadLetterSubject(subject string) (lane string, sequence uint64, ok bool) {
	rest, ok := strings.CutPrefix(subject, events.PrefixDeadLetter)
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 {
		return "", 0, false
	}
	sequence, err := strconv.ParseUint(rest[dot+1:], 10, 64)
	return rest[:dot], sequence, err == nil
}
