package target

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/address"
	"tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// How long a tool looks for a server before it says that nothing answers, and how long it waits for one that went away
// while it was being read.
const (
	patience  = 5 * time.Second
	reconnect = 250 * time.Millisecond
)

// inbox is where the broker's permissions let the user "ops" hear answers (deploy/nats.conf).
const inbox = "_INBOX_ops"

// Shop is where the parts of a running shop are: the ready file. What is empty is not known.
type Shop struct {
	Storefront           string `json:"storefront"`
	Mail                 string `json:"mail"`
	Stripe               string `json:"stripe"`
	StripeSecretKey      string `json:"stripe_secret_key"`
	StripePublishableKey string `json:"stripe_publishable_key"`
	NATS                 string `json:"nats"`
	MongoDB              string `json:"mongodb"`
	Ops                  string `json:"ops"`
	OpsToken             string `json:"ops_token"`
	Data                 string `json:"data"` // data directory of a shop in one process

	file string // the ready file that it was read from, if any
}

// Require returns [ErrUnknownAddress], naming the flag, when a part that a tool cannot do without is not known.
func (s Shop) Require(value, flag string) error {
	if value != "" {
		return nil
	}
	return fmt.Errorf("%w: pass --%s, or --shop with the ready file of a shop that has it", ErrUnknownAddress, flag)
}

// Log opens the shop's log. The caller calls close when done. It returns [ErrUnknownAddress],
// [address.ErrUnreadable], [ErrUnreachable] or [log.ErrNoShop].
func (s Shop) Log(ctx context.Context) (reader *replay.Reader, close func(), err error) {
	conn, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	return s.open(ctx, conn)
}

// MakeLog is Log for what is about to be filled: streams that are missing are made, with so many copies each.
func (s Shop) MakeLog(ctx context.Context, replicas int) (reader *replay.Reader, close func(), err error) {
	conn, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	reader, close, err = s.open(ctx, conn)
	if !errors.Is(err, log.ErrNoShop) {
		return reader, close, err
	}
	if conn, err = s.connect(); err != nil {
		return nil, nil, err
	}
	l, err := log.Open(ctx, conn, log.Config{Source: "ops", Replicas: replicas})
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("%s: make the streams: %w", address.Redacted(s.NATS), err)
	}
	l.Close()
	return s.open(ctx, conn)
}

func (s Shop) connect() (*nats.Conn, error) {
	if err := s.Require(s.NATS, "nats"); err != nil {
		return nil, err
	}
	if err := address.Check(s.NATS); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	conn, err := nats.Connect(s.NATS, log.HistoryQueue(), nats.Name("tillstream tool"), nats.CustomInboxPrefix(inbox), nats.Timeout(patience),
		nats.ReconnectWait(reconnect), nats.MaxReconnects(int(6*patience/reconnect)))
	if err != nil {
		return nil, s.unreachable("broker", s.NATS, err)
	}
	return conn, nil
}

// open opens the log of a connection, which it closes when there is none.
func (s Shop) open(ctx context.Context, conn *nats.Conn) (*replay.Reader, func(), error) {
	reader, err := replay.Open(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("%s: %w", address.Redacted(s.NATS), err)
	}
	return reader, func() { reader.Close(); conn.Close() }, nil
}

// Database opens the shop's database. The caller calls close when done. It returns [ErrUnknownAddress] or [ErrUnreachable].
func (s Shop) Database(ctx context.Context) (db *mongo.Database, close func(), err error) {
	if err := s.Require(s.MongoDB, "mongodb"); err != nil {
		return nil, nil, err
	}
	db, err = project.Connect(ctx, s.MongoDB)
	if err != nil {
		return nil, nil, err
	}
	// A tool that ends has nothing left to say to the database, so how the good-bye went is of no interest.
	disconnect := func() { _ = db.Client().Disconnect(context.WithoutCancel(ctx)) }
	if err := db.RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err(); err != nil {
		disconnect()
		return nil, nil, s.unreachable("database", s.MongoDB, err)
	}
	return db, disconnect, nil
}

func (s Shop) unreachable(what, at string, err error) error {
	hint := "is it running?"
	if s.file != "" {
		hint = fmt.Sprintf("is the shop that wrote %s still running?", s.file)
	}
	return fmt.Errorf("%w: %s at %s: %w; %s", ErrUnreachable, what, address.Redacted(at), err, hint)
}
