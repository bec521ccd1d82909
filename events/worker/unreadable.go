package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"tillstream/events"
)

// Anyone who may publish to the broker can publish a hundred thousand messages in a few seconds that are no events of the shop.
// One dead letter and one log line for each of them, in every lane, would delay the orders behind them by minutes. A lane
// therefore passes over them and makes one dead letter of all those that it has met since its last checkpoint. An event that
// only its body makes unreadable gets a dead letter of its own, up to ownDeadLetters a second.
const (
	ownDeadLetters = 10
	maxRuns        = 1000 // in one dead letter
)

// unreadable holds the messages that a lane could not read since its last checkpoint.
type unreadable struct {
	limit *rate.Limiter // of own
	own   []skipped
	rest  []skipped // the first of the runs that belong to one dead letter
	runs  [][]events.Run

	logged time.Time // when a log line was last written
	count  int       // of messages since then
}

// skipped is a message that a lane could not read, and the reason.
type skipped struct {
	item  *Item
	cause error
}

func newUnreadable() unreadable {
	return unreadable{limit: rate.NewLimiter(ownDeadLetters, ownDeadLetters)}
}

// skip passes over a message that the lane cannot read, or whose body names an impossible id. The next checkpoint is written after its dead letter.
func (l *lane) skip(item *Item, cause error) {
	u := &l.unreadable
	if _, err := item.Envelope(); err == nil && u.limit.Allow() {
		u.own = append(u.own, skipped{item, cause})
		return
	}
	last := len(u.runs) - 1
	switch {
	case last < 0 || len(u.runs[last]) == maxRuns:
		u.rest = append(u.rest, skipped{item, cause})
		u.runs = append(u.runs, []events.Run{{From: item.Sequence, To: item.Sequence}})
	default:
		u.runs[last] = events.AddToRuns(u.runs[last], item.Sequence)
	}
}

// putUnreadable makes dead letters of the messages that the lane has passed over. After an error it is repeated with the next
// checkpoint, and meanwhile the lane works on: a stream of dead letters that is full does not stop the shop.
func (l *lane) putUnreadable(ctx context.Context) error {
	u := &l.unreadable
	for len(u.own) > 0 {
		if err := putDeadLetter(ctx, l, u.own[0].item, 1, u.own[0].cause); err != nil {
			return err
		}
		u.own = u.own[1:]
	}
	for len(u.runs) > 0 {
		if err := l.putRuns(ctx, u.rest[0], u.runs[0]); err != nil {
			return err
		}
		u.count += events.CountRuns(u.runs[0])
		u.rest, u.runs = u.rest[1:], u.runs[1:]
	}
	if now := l.log.Now(); u.count > 0 && now.Sub(u.logged) >= time.Second {
		l.log.Logger().Error("messages cannot be read", "lane", l.name, "messages", u.count, "help", "ops deadletters list")
		u.logged, u.count = now, 0
	}
	return nil
}

// putRuns opens one dead letter for several messages. If there is one at the first sequence, from a process that stopped before
// its checkpoint, only the messages after those of that dead letter get another one. If that process gathered other messages together, two dead
// letters may name the same message, which changes nothing for the message.
func (l *lane) putRuns(ctx context.Context, first skipped, runs []events.Run) error {
	for len(runs) > 0 {
		dead, envelope := newDeadLetter(l, first.item, 1)
		dead.Sequence = runs[0].From
		cause := first.cause
		if n := events.CountRuns(runs); n > 1 {
			dead.Runs, cause = runs, fmt.Errorf("%d messages cannot be read; the first: %w", n, cause)
		}
		setCause(&dead, cause)
		envelope.ID, envelope.Payload = deadLetterID(l, dead.Sequence), dead
		stored, err := publishDeadLetter(ctx, l, dead.Sequence, envelope, 0)
		if stored {
			l.metrics.deadLetters.Add(float64(dead.Messages()))
		}
		if err != nil || stored {
			return err
		}
		end, err := l.endOfDeadLetter(ctx, dead.Sequence)
		if err != nil {
			return err
		}
		runs = events.RunsAfter(runs, end)
	}
	return nil
}

// endOfDeadLetter returns the last sequence that the dead letter at a sequence names.
func (l *lane) endOfDeadLetter(ctx context.Context, sequence uint64) (end uint64, err error) {
	subject := DeadLetterSubject(l.name, sequence)
	first, err := l.readDeadLetter(ctx, subject, func(ctx context.Context, stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
		return stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(subject))
	})
	if err != nil {
		return 0, err
	}
	e, err := events.Decode(first.Subject, first.Header, first.Data)
	dead, ok := e.Payload.(events.DeadLettered)
	if err != nil || !ok || len(dead.Runs) == 0 {
		return sequence, nil //nolint:nilerr // no lane wrote it
	}
	return dead.Runs[len(dead.Runs)-1].To, nil
}
