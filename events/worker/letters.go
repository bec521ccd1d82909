package worker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/log"
)

// letters counts the open dead letters of the lanes of a process. It follows the newest message of each dead letter, so the count
// is right after a restart, and when another process opens or settles one.
type letters struct {
	log   *log.Log
	lanes []string

	mu   sync.Mutex
	open map[string]map[uint64]bool // by lane
}

// lettersHeartbeat is how often a broker that has nothing new says that it is there.
const lettersHeartbeat = 5 * time.Second

// watch follows the dead letters until ctx ends. While the broker is away the count stays as it was.
func (w *letters) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.follow(ctx); err != nil && ctx.Err() == nil {
			w.log.Logger().Warn("follow dead letters", "error", err)
			Sleep(ctx, time.Second)
		}
	}
}

// follow counts anew, and goes on counting until ctx ends or the broker cannot be read.
func (w *letters) follow(ctx context.Context) error {
	filters := make([]string, len(w.lanes))
	for i, lane := range w.lanes {
		filters[i] = events.PrefixDeadLetter + lane + ".*"
	}
	consumer, err := w.log.JetStream().OrderedConsumer(ctx, events.StreamDeadLetters,
		jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: filters})
	if err != nil {
		return fmt.Errorf("follow dead letters: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullHeartbeat(lettersHeartbeat))
	if err != nil {
		return fmt.Errorf("follow dead letters: %w", err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	known := map[string]map[uint64]bool{}
	for _, lane := range w.lanes {
		known[lane] = map[uint64]bool{}
	}
	for pending := consumer.CachedInfo().NumPending; ; {
		if pending == 0 {
			w.replace(known)
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
		w.take(known, msg)
		pending = meta.NumPending
	}
}

// take takes over what the newest message of a dead letter says.
func (w *letters) take(known map[string]map[uint64]bool, msg jetstream.Msg) {
	lane, sequence, ok := laneOfDeadLetter(msg.Subject())
	if !ok || known[lane] == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if msg.Headers().Get(events.HeaderType) == (events.DeadLettered{}).EventType() {
		known[lane][sequence] = true
	} else {
		delete(known[lane], sequence)
	}
}

// replace has what was counted anew take the place of what was counted before.
func (w *letters) replace(known map[string]map[uint64]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = known
}

// count is how many dead letters of a lane are open.
func (w *letters) count(lane string) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return float64(len(w.open[lane]))
}

// laneOfDeadLetter is the reverse of [DeadLetterSubject].
func laneOfDeadLetter(subject string) (lane string, sequence uint64, ok bool) {
	rest, ok := strings.CutPrefix(subject, events.PrefixDeadLetter)
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 {
		return "", 0, false
	}
	sequence, err := strconv.ParseUint(rest[dot+1:], 10, 64)
	return rest[:dot], sequence, err == nil
}
