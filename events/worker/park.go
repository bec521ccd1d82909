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

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/internal/feed"
	"tillstream/events/log"
)

type delivery = feed.Message

// What is copied of a message has bounds, because it must fit into another one, whatever somebody published: base64 of the
// body, and the headers and the error as JSON writes them, into 1 MB; the ids among its own headers into 64 KB.
const (
	parkedData  = 256 << 10
	parkedError = 4 << 10
	parkedID    = 256
)

// park sets a message aside, whole. The message id makes repeating it harmless: who crashes between parking and
// acknowledging parks it again.
func park(ctx context.Context, l *log.Log, h *health, stream string, m delivery, cause error) error {
	worker, data := h.name, m.Data()
	parked := events.EventParked{
		Worker: worker, Stream: stream, Sequence: m.Sequence, Subject: legible(m.Subject()), Headers: legibly(m.Headers()),
		Data: data[:min(len(data), parkedData)], Truncated: len(data) > parkedData,
		Error: legible(cut(cause.Error(), parkedError)), Fingerprint: fingerprint(worker, cause), Attempt: m.Attempt,
	}
	id := fmt.Sprintf("%s-%s-%d", worker, stream, m.Sequence)
	msg, err := events.Encode(events.Event{ID: id, Source: worker, Time: l.Now().UTC(), Subject: events.PrefixParked + worker,
		CorrelationID: cut(m.Headers().Get(events.HeaderCorrelationID), parkedID),
		CausationID:   cut(m.Headers().Get(events.HeaderID), parkedID), Payload: parked})
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

// legible replaces what is no UTF-8: JSON refuses it, and a copy that cannot be written would hold up everything behind it.
// The message as it was stands in its stream.
func legible(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func legibly(header nats.Header) map[string][]string {
	copied := make(map[string][]string, len(header))
	for key, values := range header {
		for _, value := range values {
			copied[legible(key)] = append(copied[legible(key)], legible(value))
		}
	}
	return copied
}

func cut(text string, most int) string { return text[:min(len(text), most)] }

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
