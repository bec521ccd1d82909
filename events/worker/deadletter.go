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

// putDeadLetter points to an event that a lane could not handle. The subject names lane and sequence and may be written
// once, so repeating it is harmless: a process that dies between the dead letter and the checkpoint repeats it.
func putDeadLetter(ctx context.Context, l *lane, item *Item, attempt int, cause error) error {
	e, _ := item.Envelope() // as far as it can be read
	subject := fmt.Sprintf("%s%s.%d", events.PrefixDeadLetter, l.name, item.Sequence)
	dead := events.DeadLettered{
		Worker: l.name, Sequence: item.Sequence, Subject: legible(item.Subject), Type: legible(cut(e.Type, deadLetterID)),
		EventID: legible(cut(e.ID, deadLetterID)), Error: legible(cut(cause.Error(), deadLetterError)),
		Fingerprint: fingerprint(l.name, cause), Attempt: attempt,
	}
	id := fmt.Sprintf("%s-%d", l.name, item.Sequence)
	msg, err := events.Encode(events.Event{ID: id, Source: l.name, Time: l.log.Now().UTC(), Subject: subject,
		CorrelationID: legible(cut(e.CorrelationID, deadLetterID)), CausationID: dead.EventID, Payload: dead})
	if err != nil {
		return fmt.Errorf("dead letter %s: %w", id, err)
	}
	_, err = l.log.JetStream().PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(0))
	var refused *jetstream.APIError
	switch {
	case err == nil:
		l.metrics.deadLetters.Inc()
	case errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refused.ErrorCode == codeWrongLastSequence):
		// it is there already
	default:
		return fmt.Errorf("dead letter %s: %w: %w", id, log.ErrUnavailable, err)
	}
	l.log.Logger().Error("dead letter", "lane", l.name, "sequence", item.Sequence, "subject", dead.Subject, "error", dead.Error)
	return nil
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
