package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/log"
)

// Bounds of what is copied of a message into its dead letter, which must fit into a message whatever was published.
const (
	deadLetterError = 4 << 10
	deadLetterID    = 256
)

// codeWrongLastSequence is what a cluster says instead of [jetstream.JSErrCodeStreamWrongLastSequence]
// (nats-server/server/errors.json, JSStreamWrongLastSequenceConstantErr).
const codeWrongLastSequence jetstream.ErrorCode = 10164

// DeadLetterSubject is where a lane's dead letter of the event at a sequence stands in [events.StreamDeadLetters].
func DeadLetterSubject(lane string, sequence uint64) string {
	return fmt.Sprintf("%s%s.%d", events.PrefixDeadLetter, lane, sequence)
}

// putDeadLetter opens the dead letter of an event that a lane could not handle. Its subject must be empty, so repeating this is
// harmless: a process that dies between the dead letter and the checkpoint repeats it.
func putDeadLetter(ctx context.Context, l *lane, item *Item, attempt int, cause error) error {
	e, _ := item.Envelope() // as far as it can be read
	dead := events.DeadLettered{
		Worker: l.name, Sequence: item.Sequence, Subject: legible(item.Subject), Type: legible(cut(e.Type, deadLetterID)),
		EventID: legible(cut(e.ID, deadLetterID)), Attempt: attempt,
	}
	describe(&dead, cause)
	envelope := events.Event{ID: fmt.Sprintf("%s-%d", l.name, item.Sequence), CorrelationID: legible(cut(e.CorrelationID, deadLetterID)),
		CausationID: dead.EventID, Payload: dead}
	return appendToDeadLetter(ctx, l, item.Sequence, envelope, 0)
}

// describe says in a dead letter why the event could not be handled.
func describe(dead *events.DeadLettered, cause error) {
	dead.Error, dead.Fingerprint = legible(cut(cause.Error(), deadLetterError)), fingerprint(dead.Worker, cause)
}

// appendToDeadLetter appends an event to a dead letter whose last message is known. It is done once: when that is not the last one
// any more, another process was faster, or an unanswered try of this process was stored.
func appendToDeadLetter(ctx context.Context, l *lane, sequence uint64, e events.Event, last uint64) error {
	e.Subject, e.Source, e.Time = DeadLetterSubject(l.name, sequence), l.name, l.log.Now().UTC()
	msg, err := events.Encode(e)
	if err != nil {
		return fmt.Errorf("dead letter %s: %w", e.Subject, err)
	}
	_, err = l.log.JetStream().PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(last))
	if IsSequenceConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("dead letter %s: %w: %w", e.Subject, log.ErrUnavailable, err)
	}
	if dead, ok := e.Payload.(events.DeadLettered); ok {
		l.metrics.deadLetters.Inc()
		l.log.Logger().Error("dead letter", "lane", l.name, "sequence", sequence, "subject", dead.Subject, "attempt", dead.Attempt, "error", dead.Error)
	}
	return nil
}

// IsSequenceConflict reports whether the broker refused a message because another writer has appended to its subject meanwhile.
func IsSequenceConflict(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refused.ErrorCode == codeWrongLastSequence)
}

// legible replaces what is no UTF-8, which JSON refuses. The message as it was stands in the log.
func legible(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func cut(text string, most int) string { return text[:min(len(text), most)] }

// varying is what differs between two errors of one cause: ids, numbers, quoted input.
var varying = regexp.MustCompile(`"[^"]*"|[0-9a-fA-F-]{8,}|[0-9]+`)

// fingerprint is the same for the same cause, so that a thousand dead letters show as one line.
func fingerprint(lane string, cause error) string {
	text := varying.ReplaceAllString(cause.Error(), "#")
	var p *panicError
	if errors.As(cause, &p) {
		text = p.frames
	}
	sum := sha256.Sum256([]byte(lane + "\n" + text))
	return hex.EncodeToString(sum[:6])
}

// frames names the shop's functions on the stack of a panic.
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
