package log

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Fits tells whether one more request may join a batch of one, each of a single message.
func Fits(first, second *nats.Msg) bool {
	b := newBatch(nil, 0)
	b.add(&request{messages: []*nats.Msg{first}})
	return b.fits(&request{messages: []*nats.Msg{second}})
}

// Failover is what a request does that has gone unanswered for a while.
func (l *Log) Failover() { l.failover() }

// LookBack compares the log with what this process has seen of it, as when the connection has come back. What the stream
// says of itself arrives late: meanwhile runs in between.
func (l *Log) LookBack(ctx context.Context, meanwhile func()) error {
	answers := l.shop
	l.shop = lateStream{answers, meanwhile}
	l.checkEnd(ctx)
	l.shop = answers
	return l.high.err
}

type lateStream struct {
	jetstream.Stream
	meanwhile func()
}

func (s lateStream) Info(ctx context.Context, options ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	info, err := s.Stream.Info(ctx, options...)
	s.meanwhile()
	return info, err
}

// CheckVersion reports whether a broker is too old.
func CheckVersion(version string) error { return checkVersion(version) }
