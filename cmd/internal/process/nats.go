package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/address"
	"tillstream/events/log"
)

// A broker that is cut off says nothing, and neither does the connection: only pings that are not answered tell. The
// client gives up on the third, so a wire that went silent is noticed within three seconds, sooner than a cluster has
// chosen another leader.
const (
	pingEvery       = time.Second
	pingsUnanswered = 2
)

// Options of every connection to the broker. Answers arrive under an inbox that is the process's own, so that the broker's
// permissions can keep them from others. It reconnects for ever, to whichever server of the cluster answers, and
// buffers nothing meanwhile: what could not be sent fails at once, and its writer decides anew.
func Options(name string, logger *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name(name), nats.CustomInboxPrefix("_INBOX_" + name), nats.MaxReconnects(-1), nats.ReconnectWait(200 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(pingsUnanswered), log.HistoryQueue(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				logger.Warn("lost the broker", "connection", name, "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			logger.Info("found the broker again", "connection", name, "url", c.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			logger.Error("broker", "connection", name, "subject", subject, "error", err)
		}),
	}
}

// Connect waits for the broker: in a deployment everything starts at once, in any order. It returns
// [address.ErrUnreadable] for what gets no better by waiting.
func Connect(ctx context.Context, url, name string, logger *slog.Logger) (*nats.Conn, error) {
	if err := address.Check(url); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	for {
		conn, err := nats.Connect(url, Options(name, logger)...)
		if err == nil {
			return conn, nil
		}
		logger.Warn("waiting for the broker", "url", address.Redacted(url), "error", err)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to NATS at %s: %w", address.Redacted(url), ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

// ErrClosed is returned when a connection to the broker will never come back.
var ErrClosed = errors.New("the connection to the broker is closed for good")

// WhileConnected returns [ErrClosed] once the connection is closed for good, as after a changed password: the process
// must end then, for whoever supervises it to start it anew. It returns nil when ctx ends.
func WhileConnected(ctx context.Context, conn *nats.Conn) error {
	select {
	case <-ctx.Done():
		return nil
	case <-closed(ctx, conn):
		return ErrClosed
	}
}

// closed returns a channel that is closed when the connection is, for good.
func closed(ctx context.Context, conn *nats.Conn) <-chan struct{} {
	gone := make(chan struct{})
	statuses := conn.StatusChanged(nats.CLOSED)
	if conn.IsClosed() { // since before anybody listened
		close(gone)
		return gone
	}
	go func() {
		select {
		case <-statuses:
			close(gone)
		case <-ctx.Done():
		}
	}()
	return gone
}
