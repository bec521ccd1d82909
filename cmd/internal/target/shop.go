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
	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// A tool waits connectTimeout for the broker's answer. While it reads, it tries to reconnect for six times as long.
const (
	connectTimeout = 5 * time.Second
	reconnectWait  = 250 * time.Millisecond
)

// inbox is the only inbox prefix to which the broker's permissions let the user "ops" subscribe (deploy/nats.conf).
const inbox = "_INBOX_ops"

// Shop has the addresses and keys of a running shop. It is the content of the ready file. An empty field is not known.
type Shop struct {
	Storefront           string `json:"storefront"`
	Mail                 string `json:"mail"`
	Stripe               string `json:"stripe"`
	StripeSecretKey      string `json:"stripe_secret_key"`
	StripePublishableKey string `json:"stripe_publishable_key"`
	NATS                 string `json:"nats"`
	MongoDB              string `json:"mongodb"`
	Ops                  string `json:"ops"`
	OpsKey               string `json:"ops_key"`
	Data                 string `json:"data"` // data directory of a shop in one process

	file string // the ready file that was read, if any
}

// Require returns [ErrUnknownAddress], naming the flag, when a value that a tool needs is empty.
func (s Shop) Require(value, flag string) error {
	if value != "" {
		return nil
	}
	return fmt.Errorf("%w: pass --%s, or --shop with the ready file of a shop that has it (one started with --closed has not)", ErrUnknownAddress, flag)
}

// Log opens the shop's log. The caller calls closeLog when done. Log returns [ErrUnknownAddress], [address.ErrUnreadable],
// [ErrUnreachable] or [eventlog.ErrNoShop].
func (s Shop) Log(ctx context.Context) (reader *replay.Reader, closeLog func(), err error) {
	conn, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	return s.open(ctx, conn)
}

// MakeLog opens the log of a shop that is about to be restored. It creates the streams that are missing, each with this number
// of replicas.
func (s Shop) MakeLog(ctx context.Context, replicas int) (reader *replay.Reader, closeLog func(), err error) {
	conn, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	reader, closeLog, err = s.open(ctx, conn)
	if !errors.Is(err, eventlog.ErrNoShop) {
		return reader, closeLog, err
	}
	if conn, err = s.connect(); err != nil {
		return nil, nil, err
	}
	l, err := eventlog.Open(ctx, conn, eventlog.Config{Source: "ops", Replicas: replicas})
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("%s: create the streams: %w", address.Redacted(s.NATS), err)
	}
	l.Close()
	return s.open(ctx, conn)
}

// RepairLog is like Log, and creates the stream that an interrupted repair has deleted; see [replay.RecreateLog].
func (s Shop) RepairLog(ctx context.Context, db *mongo.Database) (reader *replay.Reader, closeLog func(), err error) {
	conn, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	err = replay.RecreateLog(ctx, conn, db)
	if conn.Close(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", address.Redacted(s.NATS), err)
	}
	return s.Log(ctx)
}

func (s Shop) connect() (*nats.Conn, error) {
	if err := s.Require(s.NATS, "nats"); err != nil {
		return nil, err
	}
	if err := address.Check(s.NATS); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	conn, err := nats.Connect(s.NATS, eventlog.HistoryQueue(), nats.Name("tillstream tool"), nats.CustomInboxPrefix(inbox), nats.Timeout(connectTimeout),
		nats.ReconnectWait(reconnectWait), nats.MaxReconnects(int(6*connectTimeout/reconnectWait)))
	if err != nil {
		return nil, s.unreachable("broker", s.NATS, err)
	}
	return conn, nil
}

// open opens the log on a connection. It closes the connection on an error.
func (s Shop) open(ctx context.Context, conn *nats.Conn) (*replay.Reader, func(), error) {
	reader, err := replay.Open(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("%s: %w", address.Redacted(s.NATS), err)
	}
	return reader, func() { reader.Close(); conn.Close() }, nil
}

// Database opens the shop's database. The caller calls disconnect when done. Database returns [ErrUnknownAddress] or
// [ErrUnreachable].
func (s Shop) Database(ctx context.Context) (db *mongo.Database, disconnect func(), err error) {
	if err := s.Require(s.MongoDB, "mongodb"); err != nil {
		return nil, nil, err
	}
	db, err = project.Connect(ctx, s.MongoDB)
	if err != nil {
		return nil, nil, err
	}
	// A tool has no unfinished work in the database when it ends, so an error of Disconnect does not matter.
	disconnect = func() { _ = db.Client().Disconnect(context.WithoutCancel(ctx)) }
	if err := db.RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err(); err != nil {
		disconnect()
		return nil, nil, s.unreachable("database", s.MongoDB, err)
	}
	return db, disconnect, nil
}

// unreachable returns [ErrUnreachable] for a server, with the likely cause.
func (s Shop) unreachable(server, at string, err error) error {
	hint := "is it running?"
	if s.file != "" {
		hint = fmt.Sprintf("is the shop that wrote %s still running?", s.file)
	}
	return fmt.Errorf("%w: %s at %s: %w; %s", ErrUnreachable, server, address.Redacted(at), err, hint)
}
