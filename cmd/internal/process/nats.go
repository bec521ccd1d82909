package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/address"
	eventlog "tillstream/events/log"
)

// A connection to a broker that is cut off reports no error; only unanswered pings reveal it. The client gives up on the third
// ping, so it notices within three seconds, sooner than a cluster elects another leader.
const (
	pingEvery       = time.Second
	pingsUnanswered = 2
)

// retryEvery is how often a process that starts tries to connect to the broker.
const retryEvery = time.Second

// Options returns the options of every connection to the broker. Replies arrive under an inbox of the process's own, so
// that the broker's permissions can hide them from other users. The connection reconnects for ever, to any server of the
// cluster, and buffers nothing meanwhile: a message that cannot be sent fails at once, and its writer decides again.
func Options(name string, logger *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name(name), nats.CustomInboxPrefix("_INBOX_" + name), nats.MaxReconnects(-1), nats.ReconnectWait(200 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(pingsUnanswered), eventlog.HistoryQueue(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				logger.Warn("broker disconnected", "connection", name, "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			logger.Info("broker reconnected", "connection", name, "url", c.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			logger.Error("broker error", "connection", name, "subject", subject, "error", err)
		}),
	}
}

// Connect connects to the broker and retries until it answers, because a deployment may start all its processes at once. It
// returns [address.ErrUnreadable] for an invalid address, and the cause of ctx when that ends.
func Connect(ctx context.Context, url, name string, logger *slog.Logger) (*nats.Conn, error) {
	if err := address.Check(url); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	conn, err := backoff.Retry(ctx, func() (*nats.Conn, error) { return nats.Connect(url, Options(name, logger)...) },
		backoff.WithBackOff(backoff.NewConstantBackOff(retryEvery)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, _ time.Duration) {
			logger.Warn("waiting for broker", "url", address.Redacted(url), "error", err)
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", address.Redacted(url), err)
	}
	return conn, nil
}

// ErrClosed is returned when the connection to the broker is closed and will not reconnect.
var ErrClosed = errors.New("connection to the broker is closed")

// WhileConnected returns [ErrClosed] once the connection is closed for good, for example because the password was changed.
// The process must end then, so that its supervisor starts it again. WhileConnected returns nil when ctx ends.
func WhileConnected(ctx context.Context, conn *nats.Conn) error {
	statuses := conn.StatusChanged(nats.CLOSED)
	if conn.IsClosed() { // it was closed before StatusChanged, which does not report that
		return ErrClosed
	}
	select {
	case <-ctx.Done():
		return nil
	case <-statuses:
		return ErrClosed
	}
}
