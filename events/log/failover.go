package log

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// When the connection moves to another broker: the first time after moveAfter without an answer, then after rests that
// double as long as moving does not help, from moveEvery to rarely. Each move costs the process what was on the way.
const (
	moveAfter = 2 * time.Second
	moveEvery = 3 * time.Second
	rarely    = 30 * time.Second
)

// failover moves the connection to another broker of the cluster, if there is one, when this one has not answered for a
// while. It may be cut off from the others: then it has no majority and never will have, but it goes on talking to its
// clients. One that is merely slow, as its whole cluster may be, serves no client whose connection moves every few seconds:
// hence the rests. A connection that is being made is left alone.
func (l *core) failover() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.config.Now()
	still := now.Sub(l.moved)
	if len(l.conn.Servers()) < 2 || !l.conn.IsConnected() || still < l.rest {
		return
	}
	l.moved, l.rest = now, min(2*l.rest, rarely)
	if still > 2*rarely { // the last move helped
		l.rest = moveEvery
	}
	l.config.Logger.Warn("broker unresponsive, reconnecting to another server", "broker", l.conn.ConnectedServerName())
	if err := l.conn.ForceReconnect(); err != nil {
		l.config.Logger.Warn("reconnect to another server", "error", err)
	}
}

// ask puts a question to the broker again when no answer comes, until patience ends: a copy that died took the question
// along, or the cluster has yet to choose who answers.
func (l *core) retry(ctx context.Context, question func(context.Context) error) error {
	return l.retryFor(ctx, l.config.Patience, question)
}

func (l *core) retryFor(ctx context.Context, patience time.Duration, question func(context.Context) error) error {
	began := time.Now()
	deadline := began.Add(patience)
	for wait := tryAgain; ; wait = min(2*wait, longestGap) {
		asking, cancel := context.WithDeadline(ctx, earlier(deadline, time.Now().Add(oneTry)))
		err := question(asking)
		cancel()
		if err == nil || !IsTemporary(err) || ctx.Err() != nil || time.Now().Add(wait).After(deadline) {
			return err
		}
		if time.Since(began) > moveAfter {
			l.failover()
		}
		if pause(ctx, wait) != nil {
			return err
		}
	}
}

// nextOn returns the first message of a subject at or behind a sequence, or [jetstream.ErrMsgNotFound].
func (l *core) nextOn(ctx context.Context, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	return l.reads.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func isNotFound(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) }
