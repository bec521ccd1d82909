// Package log is the shop's event log: one append-only JetStream stream with optimistic concurrency.
//
// It promises three things. An event is on disk before its append returns. The events of one transaction are stored
// together or not at all. No event is decided on a state that another writer has changed since it was read. There are no
// locks: every append carries the expected sequence of its entity, and the slower of two writers is refused, reloads and
// decides again.
//
// The life of one append:
//
//	Do(fn) ─► Load (cache, else read the subject) ─► decide ─► Append (applied at once, message built)
//	   ▲                                                          │
//	   │ conflict: drop the cached state, decide again            ▼
//	   └──────────── committer: gathers queued transactions into one atomic batch, one in flight ─► fsync ─► answer
//
// An entity has one subject, without wildcards. Its state is the fold of the events on that subject, which are numbered
// without gaps. The parts of the API are [Entity] (one kind of entity), [Tx] (one decision), [Log.Do] (decide and commit),
// [Log.Follow] (read everything in order), and [Checkpoint] and [Lease], which store the position of a lane of a worker and
// which process runs the lane.
//
// Programs of two releases may run side by side. A process that starts adds the missing parts of its [Topology] to the broker,
// announces its topology for as long as it runs, and does not start when the log holds events that it cannot read: see
// [Process] and [TopologyState].
//
// A process opens the log once. Each domain in it gets its own handle from [Log.ForDomain], which may append only under the
// domain's prefixes.
package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
)

// MaxBatch is how many events one transaction may hold: the broker's limit for an atomic batch
// (nats-server, streamDefaultMaxAtomicBatchSize).
const MaxBatch = 1000

// oldestBroker is the oldest nats-server that Open accepts. Older ones lose parts of batches over a leader change
// (nats-server#7460), or skip damaged records in more cases than the reader can detect.
var oldestBroker = [3]int{2, 14, 6}

// Config configures a [Log].
type Config struct {
	CacheSize  int                   // states kept in memory; default 50,000
	Logger     *slog.Logger          // default: discard
	MustExist  bool                  // for tools: create nothing, and return ErrNoShop when a stream or bucket is missing
	Now        func() time.Time      // default: time.Now
	Owns       []string              // subject prefixes that Source may append under; default those of its domain
	Patience   time.Duration         // how long a commit is retried while its outcome is unknown; default 5 s
	Registerer prometheus.Registerer // default: none
	Replicas   int                   // copies of each stream in the cluster; default 1
	Source     string                // name of this program in the envelope; required
	Topology   *Topology             // streams, buckets and event types that this program knows; default [CurrentTopology]
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

// Log is a domain's handle to the log of its process. It is safe for concurrent use.
type Log struct {
	*core
	source string
	owns   []string
}

// core is the state that all handles of one process share.
type core struct {
	config     Config
	conn       *nats.Conn
	js         jetstream.JetStream
	shop       jetstream.Stream
	reads      jetstream.Stream // the same stream, for reading single messages: see openReads
	committer  *committer
	cache      *cache
	metrics    *metrics
	high       *highWater
	denials    *denials
	damage     damage
	filled     filled
	storing    storing
	checkpoint jetstream.KeyValue
	lease      jetstream.KeyValue
	members    members
	voids      voids
	cascade    atomic.Pointer[func(context.Context, *Log, func(*Tx) error) error] // set by SetCascade

	mu           sync.Mutex
	movedAt      time.Time     // when the connection was opened or last moved to another server
	moveInterval time.Duration // shortest time between two moves
}

// Open checks the server's version, creates missing streams and buckets, and adds to existing ones the missing parts of this
// program's topology. It returns [ErrDrift] when a stream is configured differently, and [events.ErrNewer] when a newer release
// has written events that this program cannot read.
func Open(ctx context.Context, conn *nats.Conn, config Config) (*Log, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkVersion(conn.ConnectedServerVersion()); err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(tryTimeout))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &core{config: config, conn: conn, js: js, metrics: newMetrics(config.Registerer), high: newHighWater(), denials: newDenials(),
		damage: damage{gaps: map[string]*GapError{}}, movedAt: config.Now(), moveInterval: shortestMoveInterval}
	registerMissing(config.Registerer, l.damage.missing, func() float64 { return float64(l.filled.count()) })
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
	if len(parts) != 3 || slices.Compare(found[:], oldestBroker[:]) < 0 {
		return fmt.Errorf("nats-server %q is too old: want %d.%d.%d or newer", version, oldestBroker[0], oldestBroker[1], oldestBroker[2])
	}
	return nil
}

// A broker that has just started may need openPatience to open its streams: its disk is busy, or its cluster is still electing
// leaders. The client ends each request after 5 s by itself; openDelay is the wait between two requests.
const (
	openPatience = time.Minute
	openDelay    = 250 * time.Millisecond
)

// openTopology opens the buckets and streams, creates missing ones, and joins the shop. The order matters: a process first
// announces what it knows and then checks whether that is enough, while a newer process first records that it will write
// newer events and then checks which processes run. So at least one of the two detects the other.
func (l *core) openTopology(ctx context.Context) error {
	deadline := time.Now().Add(openPatience)
	for _, config := range l.config.Topology.Buckets {
		bucket, err := retryOpen(ctx, deadline, func() (jetstream.KeyValue, error) { return l.openBucket(ctx, config) })
		if errors.Is(err, ErrNoShop) && !slices.Contains([]string{bucketTopology, bucketCheckpoints, bucketLeases}, config.Bucket) {
			continue // a tool of a newer release, run before the shop is upgraded
		}
		if err != nil {
			return fmt.Errorf("open bucket %s: %w", config.Bucket, err)
		}
		switch config.Bucket {
		case bucketCheckpoints:
			l.checkpoint = bucket
		case bucketLeases:
			l.lease = bucket
		case bucketTopology:
			l.members.bucket = bucket
		}
	}
	if err := l.join(ctx); err != nil {
		return err
	}
	if err := l.openStreams(ctx, deadline); err != nil {
		l.leave(ctx)
		return err
	}
	return nil
}

func (l *core) openStreams(ctx context.Context, deadline time.Time) error {
	for _, config := range l.config.Topology.Streams {
		stream, err := retryOpen(ctx, deadline, func() (jetstream.Stream, error) { return l.openStream(ctx, config) })
		if err == nil {
			stream, err = l.upgradeOnOpen(ctx, config, stream)
		}
		if err != nil {
			return fmt.Errorf("open stream %s: %w", config.Name, err)
		}
		if config.Name == events.StreamShop {
			l.shop = stream
		}
	}
	return l.openReads(ctx)
}

// retryOpen retries an operation that a starting broker cannot perform yet.
func retryOpen[T any](ctx context.Context, deadline time.Time, open func() (T, error)) (T, error) {
	return backoff.Retry(ctx, func() (T, error) {
		opened, err := open()
		return opened, permanent(err)
	}, backoff.WithBackOff(backoff.NewConstantBackOff(openDelay)), backoff.WithMaxElapsedTime(max(time.Until(deadline), 1)))
}

func (l *core) openStream(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := l.js.Stream(ctx, config.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if l.config.MustExist {
			return nil, fmt.Errorf("%w: no stream %s", ErrNoShop, config.Name)
		}
		if stream, err = l.js.CreateStream(ctx, config); err == nil && l.shop != nil && l.shop.CachedInfo().State.LastSeq > 0 {
			l.config.Logger.Error("a stream was missing beside a log with events and is created again; what it had is lost", "stream", config.Name)
		}
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		stream, err = l.js.Stream(ctx, config.Name) // created meanwhile by another process or by an unanswered try
	}
	return stream, err
}

func (l *core) openBucket(ctx context.Context, config jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	bucket, err := l.js.KeyValue(ctx, config.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		if l.config.MustExist {
			return nil, fmt.Errorf("%w: no bucket %s", ErrNoShop, config.Bucket)
		}
		bucket, err = l.js.CreateKeyValue(ctx, config)
	}
	if errors.Is(err, jetstream.ErrBucketExists) {
		bucket, err = l.js.KeyValue(ctx, config.Bucket)
	}
	return bucket, err
}

// Close ends the committer after it has committed the queued requests. Later transactions return [ErrUnavailable].
func (l *Log) Close() {
	l.committer.close()
	l.leave(context.Background())
}

// ForDomain returns the handle of a domain that this process hosts. The domain is the source of its events, and it may
// append only under the domain's prefixes. All handles of a process share its committer, cache and connection.
func (l *Log) ForDomain(domain string) *Log {
	return &Log{core: l.core, source: domain, owns: events.OwnedPrefixes(domain)}
}

// DoCascade is Do that also makes, in the same transaction, the decisions that follow in the domains that this process runs.
// Decisions that do not fit into the transaction are made when the events are read from the log.
func (l *Log) DoCascade(ctx context.Context, fn func(tx *Tx) error) error {
	if cascade := l.cascade.Load(); cascade != nil {
		return (*cascade)(ctx, l, fn)
	}
	return l.Do(ctx, fn)
}

// SetCascade sets the function that DoCascade calls, for all handles of this process. With nil, DoCascade calls Do.
func (l *Log) SetCascade(cascade func(ctx context.Context, l *Log, fn func(*Tx) error) error) {
	if cascade == nil {
		l.cascade.Store(nil)
		return
	}
	l.cascade.Store(&cascade)
}

// Source returns the name under which this handle appends.
func (l *Log) Source() string { return l.source }

// Now returns the time of the log's clock.
func (l *core) Now() time.Time { return l.config.Now() }

// Logger returns the logger of the log and its users.
func (l *core) Logger() *slog.Logger { return l.config.Logger }

// JetStream gives access to the broker for operations that the log does not offer. Append only through [Log.Do].
func (l *core) JetStream() jetstream.JetStream { return l.js }

// Replicas returns how many copies of each stream the cluster keeps.
func (l *core) Replicas() int { return l.config.Replicas }
