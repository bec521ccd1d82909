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
	"tillstream/events/internal/feed"
	"tillstream/events/log"
)

type delivery = feed.Message

// parkedData bounds how much of a body is copied: base64 of it and the headers must fit into one message.
const parkedData = 256 << 10

// park sets a message aside, whole. The message id makes repeating it harmless: who crashes between parking and
// acknowledging parks it again.
func park(ctx context.Context, l *log.Log, h *health, stream string, m delivery, cause error) error {
	worker, data := h.name, m.Data()
	parked := events.EventParked{
		Worker: worker, Stream: stream, Sequence: m.Sequence, Subject: m.Subject(), Headers: m.Headers(),
		Data: data[:min(len(data), parkedData)], Truncated: len(data) > parkedData,
		Error: cause.Error(), Fingerprint: fingerprint(worker, cause), Attempt: m.Attempt,
	}
	id := fmt.Sprintf("%s-%s-%d", worker, stream, m.Sequence)
	msg, err := events.Encode(events.Event{ID: id, Source: worker, Time: l.Now().UTC(), Subject: events.PrefixParked + worker,
		CorrelationID: m.Headers().Get(events.HeaderCorrelationID), CausationID: m.Headers().Get(events.HeaderID), Payload: parked})
	if err != nil {
		return fmt.Errorf("park %s: %w", id, err)
	}
	ack, err := l.JetStream().PublishMsg(ctx, msg, jetstream.WithMsgID(id))
	if err != nil {
		return fmt.Errorf("park %s: %w: %w", id, log.ErrUnavailable, err)
	}
	if !ack.Duplicate {
		h.parked.Inc()
	}
	l.Logger().Error("parked an event", "worker", worker, "stream", stream, "sequence", m.Sequence, "subject", m.Subject(), "error", cause)
	return nil
}

// varying is what differs between two errors of one cause: ids, numbers, quoted input.
var varying = regexp.MustCompile(`"[^"]*"|[0-9a-fA-F-]{8,}|[0-9]+`)

// fingerprint is the same for the same cause, so that a thousand parked events show as one line.
func fingerprint(worker string, cause error) string {
	text := varying.ReplaceAllString(cause.Error(), "#")
	var p *panicError
	if errors.As(cause, &p) {
		text = p.frames
	}
	sum := sha256.Sum256([]byte(worker + "\n" + text))
	return hex.EncodeToString(sum[:6])
}

// frames names the functions of ours on the stack of a panic.
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
