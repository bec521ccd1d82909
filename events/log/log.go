package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// MaxBatch is how many facts one transaction may hold: the broker's limit for an atomic batch
// (nats-server, streamDefaultMaxAtomicBatchSize).
const MaxBatch = 1000

// minimum server version: atomic batches with per-subject expectations behave as we rely on from here.
const minMajor, minMinor = 2, 14

// Config sets a [Log] up.
type Config struct {
	CacheSize  int                   // entities kept in memory; default 50,000
	Logger     *slog.Logger          // default: discard
	Now        func() time.Time      // default: time.Now
	Patience   time.Duration         // how long a commit is retried while its outcome is unknown; default 5 s
	Registerer prometheus.Registerer // default: none
	Replicas   int                   // copies of each stream in the cluster; default 1
	Source     string                // name of this program in the envelope; required
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
	if c.Patience == 0 {
		c.Patience = 5 * time.Second
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	return c, nil
}

// Log is one process's door to all streams. It is safe for concurrent use.
type Log struct {
	config     Config
	conn       *nats.Conn
	js         jetstream.JetStream
	streams    map[string]jetstream.Stream
	reads      map[string]jetstream.Stream // the same, for reading single messages
	committers map[string]*committer
	cache      *lru.Cache[string, entry]
	metrics    *metrics
	highest    *highest

	mu    sync.Mutex
	moved time.Time     // when the connection was last taken to another broker, or first opened
	rest  time.Duration // before it is taken to the next
}

// entry is a remembered state and the sequence of the last event in it.
type entry struct {
	state any
	seq   uint64
}

// Open checks the server's version, creates the streams that are missing and refuses to go on when an existing one is
// configured otherwise ([ErrDrift]).
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
	streams, err := ensureStreams(ctx, js, Streams(config.Replicas))
	if err != nil {
		return nil, err
	}
	cache, err := lru.New[string, entry](config.CacheSize)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{config: config, conn: conn, js: js, streams: streams, cache: cache,
		committers: map[string]*committer{}, metrics: newMetrics(config.Registerer), highest: newHighest(), moved: config.Now(), rest: moveEvery}
	if l.reads, err = l.readable(ctx); err != nil {
		return nil, err
	}
	for name := range streams {
		l.committers[name] = startCommitter(l, name)
	}
	return l, nil
}

// When the connection is taken elsewhere: the first time after moveAfter without an answer, then after rests that grow as
// long as that does not help, from moveEvery to rarely. Each move costs everybody in this process what was on the way.
const (
	moveAfter = 2 * time.Second
	moveEvery = 3 * time.Second
	rarely    = 30 * time.Second
)

// LookElsewhere takes the connection to another broker of the cluster, if there is one, for somebody whom this one has
// not served for a while. It may be cut off from the others: then it has no majority, and will not for as long as that
// lasts, but it goes on talking to its clients. One that is merely slow, as its whole cluster may be, serves nobody whose
// connection is taken away every few seconds: hence the rests. A connection that is being made already is left alone.
func (l *Log) LookElsewhere() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Now()
	still := now.Sub(l.moved)
	if len(l.conn.Servers()) < 2 || !l.conn.IsConnected() || still < l.rest {
		return
	}
	l.moved, l.rest = now, min(2*l.rest, rarely)
	if still > 2*rarely { // the last move helped
		l.rest = moveEvery
	}
	l.config.Logger.Warn("the broker is of no use: trying another", "broker", l.conn.ConnectedServerName())
	if err := l.conn.ForceReconnect(); err != nil {
		l.config.Logger.Warn("try another broker", "error", err)
	}
}

func checkVersion(version string) error {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) == 3 {
		major, majorErr := strconv.Atoi(parts[0])
		minor, minorErr := strconv.Atoi(parts[1])
		if majorErr == nil && minorErr == nil && (major > minMajor || (major == minMajor && minor >= minMinor)) {
			return nil
		}
	}
	return fmt.Errorf("nats-server %q is too old: %d.%d or newer is needed for atomic batches", version, minMajor, minMinor)
}

// Close ends the committers after what is queued has been committed. Transactions begun afterwards fail with [ErrUnavailable].
func (l *Log) Close() {
	for _, c := range l.committers {
		c.close()
	}
}

// Now is the log's clock.
func (l *Log) Now() time.Time { return l.config.Now() }

// Logger is where the log's users write what an operator should know.
func (l *Log) Logger() *slog.Logger { return l.config.Logger }

// JetStream gives access to consumers; appends go through Do alone.
func (l *Log) JetStream() jetstream.JetStream { return l.js }

// Stream returns the handle of a stream of the topology.
func (l *Log) Stream(name string) (jetstream.Stream, error) {
	stream, ok := l.streams[name]
	if !ok {
		return nil, fmt.Errorf("no stream %q in the topology", name)
	}
	return stream, nil
}

// Replicas is how many copies of each stream the cluster keeps.
func (l *Log) Replicas() int { return l.config.Replicas }

// maxAttempts bounds how often one decision is made again. 50 writers on one entity need at most 50 rounds; what
// needs more than this is not contention but a fault.
const maxAttempts = 256

// Do runs one decision: fn loads what it needs, decides and appends, and all of it is committed at once. When somebody
// else changed one of the entities meanwhile fn runs again on the new state, so it must not do anything else.
// An error of fn is returned as it is and nothing is appended, unless nobody can say whether it was decided on the newest
// state: then [ErrUnavailable], as if nothing had been decided. Otherwise [ErrUnavailable], [ErrTooLarge],
// [ErrContention], [ErrUnreadable].
func (l *Log) Do(ctx context.Context, fn func(tx *Tx) error) error {
	for attempt := range maxAttempts {
		tx := l.Begin(ctx)
		tx.again = attempt > 0
		err := fn(tx)
		if err != nil {
			// A refusal is a decision too: it must not be made on an old state either.
			stale, staleErr := tx.staleForRefusal()
			if staleErr != nil {
				return staleErr
			}
			if len(stale) == 0 {
				return err
			}
			continue
		}
		err = tx.Commit()
		if !errors.Is(err, errConflict) {
			return err
		}
		if attempt > 8 {
			// Many writers of one entity: spread them out, else each round has one winner and everybody else reloads.
			if err := pause(ctx, time.Duration(rand.Int64N(int64(min(attempt, 50))*int64(time.Millisecond)))); err != nil {
				return err
			}
		}
	}
	return ErrContention
}

// IsConflict reports whether Commit was refused because an entity has moved on.
func IsConflict(err error) bool { return errors.Is(err, errConflict) }

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

// remember keeps a state unless a newer one is known already.
func (l *Log) remember(subject string, e entry) {
	if known, ok := l.cache.Peek(subject); ok && known.seq > e.seq {
		return
	}
	l.cache.Add(subject, e)
}

// forget drops a state that turned out to be old, unless it was replaced meanwhile.
func (l *Log) forget(subject string, seq uint64) {
	if known, ok := l.cache.Peek(subject); ok && known.seq <= seq {
		l.cache.Remove(subject)
	}
}
