package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
)

// MaxBatch is how many facts one transaction may hold: the broker's limit for an atomic batch
// (nats-server, streamDefaultMaxAtomicBatchSize).
const MaxBatch = 1000

// oldestBroker is the oldest nats-server that is used: older ones lost parts of batches over a leader change
// (nats-server#7460) or skipped damaged records in more cases than the reader can notice.
var oldestBroker = [3]int{2, 14, 6}

// Config sets a [Log] up.
type Config struct {
	CacheSize  int                   // states kept in memory; default 50,000
	Logger     *slog.Logger          // default: discard
	MustExist  bool                  // for tools: create nothing, and return ErrNoShop where a stream or bucket is missing
	Now        func() time.Time      // default: time.Now
	Owns       []string              // subject prefixes that Source may append under; default those of its domain
	Patience   time.Duration         // how long a commit is retried while its outcome is unknown; default 5 s
	Registerer prometheus.Registerer // default: none
	Replicas   int                   // copies of each stream in the cluster; default 1
	Source     string                // name of this program in the envelope; required
	Topology   *Topology             // what this program knows; default [CurrentTopology]
}

func (c Config) withDefaults() (Config, error) {
	if c.Source == "" {
		return c, errors.New("log: Config.Source is required")
	}
	if c.CacheSize == 0 {
		c.CacheSize = 50_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Owns == nil {
		c.Owns = events.OwnedPrefixes(c.Source)
	}
	if c.Patience == 0 {
		c.Patience = 5 * time.Second
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Topology == nil {
		current := CurrentTopology(c.Replicas)
		c.Topology = &current
	}
	return c, nil
}

// Log is a domain's handle of the log of its process. It is safe for concurrent use.
type Log struct {
	*core
	source string
	owns   []string
}

// core is what all handles of one process share.
type core struct {
	config     Config
	conn       *nats.Conn
	js         jetstream.JetStream
	shop       jetstream.Stream
	reads      jetstream.Stream // the same, for reading single messages
	committer  *committer
	cache      *cache
	metrics    *metrics
	high       *highWater
	denials    *denials
	damage     damage
	checkpoint jetstream.KeyValue
	lease      jetstream.KeyValue
	members    members
	voids      voids

	// complete decides in the loop of this process that decides about events, once there is one
	complete atomic.Pointer[func(context.Context, *Log, func(*Tx) error) error]

	mu    sync.Mutex
	moved time.Time     // when the connection was last moved to another broker, or first opened
	rest  time.Duration // before it moves again
}

// Open checks the server's version, creates the streams and buckets that are missing and adds to existing ones what the
// topology of this program has more. It returns [ErrDrift] when one is configured otherwise, and [events.ErrNewer] when a newer
// release has written events that this program does not understand.
func Open(ctx context.Context, conn *nats.Conn, config Config) (*Log, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkVersion(conn.ConnectedServerVersion()); err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(oneTry))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &core{config: config, conn: conn, js: js, metrics: newMetrics(config.Registerer), high: newHighWater(), denials: newDenials(),
		damage: damage{gaps: map[string]*GapError{}}, moved: config.Now(), rest: moveEvery}
	l.metrics.missing(config.Registerer, l.damage.missing)
	if l.cache, err = newCache(config.CacheSize); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := l.openTopology(ctx); err != nil {
		return nil, err
	}
	if err := l.loadVoids(ctx); err != nil {
		l.leave(ctx)
		return nil, err
	}
	l.denials.listen(conn)
	l.committer = startCommitter(l)
	return &Log{core: l, source: config.Source, owns: config.Owns}, nil
}

// As returns the handle of a domain that this process hosts. What it appends has the domain as its source and stands under
// the domain's prefixes. Handles of one process share its committer, its cache and its connection.
func (l *Log) ForDomain(domain string) *Log {
	return &Log{core: l.core, source: domain, owns: events.OwnedPrefixes(domain)}
}

func checkVersion(version string) error {
	var found [3]int
	parts := strings.SplitN(version, ".", 3)
	for i, part := range parts {
		number, _, _ := strings.Cut(part, "-") // 2.15.0-RC.1
		n, err := strconv.Atoi(number)
		if err != nil {
			parts = nil
			break
		}
		found[i] = n
	}
	for i := range oldestBroker {
		if len(parts) == 3 && found[i] > oldestBroker[i] {
			return nil
		}
		if len(parts) != 3 || found[i] < oldestBroker[i] {
			return fmt.Errorf("nats-server %q is too old: want %d.%d.%d or newer", version, oldestBroker[0], oldestBroker[1], oldestBroker[2])
		}
	}
	return nil
}

// Close ends the committer after what is queued has been committed. Transactions begun afterwards fail with [ErrUnavailable].
func (l *Log) Close() {
	l.committer.close()
	l.leave(context.Background())
}

// DoCascade is Do, and decides in the same transaction what follows from it in the domains that this process runs, where
// that is possible. What is not decided here is decided when the facts are read from the log.
func (l *Log) DoCascade(ctx context.Context, fn func(tx *Tx) error) error {
	if complete := l.complete.Load(); complete != nil {
		return (*complete)(ctx, l, fn)
	}
	return l.Do(ctx, fn)
}

// SetCascade sets what DoCascade does, for all handles of this process; nil: what Do does.
func (l *Log) SetCascade(complete func(ctx context.Context, l *Log, fn func(*Tx) error) error) {
	if complete == nil {
		l.complete.Store(nil)
		return
	}
	l.complete.Store(&complete)
}

// Source is the name under which this handle appends.
func (l *Log) Source() string { return l.source }

// Now is the log's clock.
func (l *core) Now() time.Time { return l.config.Now() }

// Logger is where the log's users write what an operator should know.
func (l *core) Logger() *slog.Logger { return l.config.Logger }

// JetStream gives access to the broker for what the log does not do itself; appends go through Do alone.
func (l *core) JetStream() jetstream.JetStream { return l.js }

// Replicas is how many copies of each stream the cluster keeps.
func (l *core) Replicas() int { return l.config.Replicas }

// Ask puts a question to the broker again while no answer comes, for as long as a commit is retried.
func (l *core) Retry(ctx context.Context, question func(context.Context) error) error {
	return l.retry(ctx, question)
}
