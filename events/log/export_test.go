package log

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// Failover exposes the failover that follows when a request is not answered for a while.
func (l *Log) Failover() { l.failover() }

// CheckEnd compares the log with what this process has seen, as after a reconnect. The broker's answer arrives late: meanwhile
// runs before it.
func (l *Log) CheckEnd(ctx context.Context, meanwhile func()) error {
	stream := l.shop
	l.shop = lateStream{stream, meanwhile}
	l.checkEnd(ctx)
	l.shop = stream
	return l.high.err
}

// lateStream is a stream whose state is read after meanwhile has run.
type lateStream struct {
	jetstream.Stream
	meanwhile func()
}

func (s lateStream) Info(ctx context.Context, options ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	info, err := s.Stream.Info(ctx, options...)
	s.meanwhile()
	return info, err
}
