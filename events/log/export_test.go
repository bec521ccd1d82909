package log

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Fits tells whether one more request may join a group of one, each of a single message.
func Fits(first, second *nats.Msg) bool {
	g := newGroup(nil, 0)
	g.add(&request{messages: []*nats.Msg{first}})
	return g.fits(&request{messages: []*nats.Msg{second}})
}

// LookBack compares the log with what this process has seen of it, as when the connection has come back. What a stream
// says of itself arrives late: meanwhile runs in between.
func (l *Log) LookBack(ctx context.Context, stream string, meanwhile func()) error {
	answers := l.streams[stream]
	l.streams[stream] = lateStream{answers, meanwhile}
	l.lookBack(ctx)
	l.streams[stream] = answers
	return l.highest.err
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
