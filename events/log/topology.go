package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Names of the key-value buckets. What stands in them can be lost and made again.
const (
	bucketCheckpoints = "checkpoints"
	bucketLeases      = "leases"
	bucketTopology    = "topology"
)

// leaseMarker is how long the broker keeps the marker of a lease that ran out: long enough for every process to see it.
const leaseMarker = time.Minute

// Topology is what a program knows of the broker, as data: every stream and bucket of the shop, with a version that a release
// counts up when it adds something, to them or to the types of events. A process that starts adds to the broker what its
// topology has more; what is configured otherwise it refuses. A stream is never made smaller: see [PlanUpgrade].
type Topology struct {
	Version int
	Streams []jetstream.StreamConfig
	Buckets []jetstream.KeyValueConfig
}

// CurrentTopology returns what this program knows, with so many copies of everything.
func CurrentTopology(replicas int) Topology {
	return Topology{Version: events.Topology, Streams: Streams(replicas), Buckets: Buckets(replicas)}
}

// Streams are the streams of the shop. SHOP keeps everything, refuses what does not fit (DiscardNew)
// rather than drop the oldest, and allows neither deletion nor purge, so that its sequences have no gaps. DEADLETTERS points
// to what a worker could not handle.
func Streams(replicas int) []jetstream.StreamConfig {
	shop := jetstream.StreamConfig{
		Name: events.StreamShop, Description: "every fact of the shop, in one order", Subjects: events.ShopSubjects(), Replicas: replicas,
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		DenyDelete: true, DenyPurge: true, AllowDirect: true, AllowAtomicPublish: true,
	}
	deadLetters := jetstream.StreamConfig{
		Name: events.StreamDeadLetters, Description: "events that a worker could not handle", Subjects: []string{events.PrefixDeadLetter + ">"},
		Replicas: replicas, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		DenyPurge: true, AllowDirect: true,
	}
	return []jetstream.StreamConfig{shop, deadLetters}
}

// Buckets are the key-value buckets of the shop.
func Buckets(replicas int) []jetstream.KeyValueConfig {
	return []jetstream.KeyValueConfig{
		{Bucket: bucketTopology, Description: "which topology the shop has, and which each process knows", Storage: jetstream.FileStorage, Replicas: replicas, LimitMarkerTTL: leaseMarker},
		{Bucket: bucketCheckpoints, Description: "how far each lane of a worker has come", Storage: jetstream.FileStorage, Replicas: replicas},
		{Bucket: bucketLeases, Description: "which process runs each lane", Storage: jetstream.FileStorage, Replicas: replicas, LimitMarkerTTL: leaseMarker},
	}
}

// How long a broker that is up may take over a stream before that counts as a failure: its disk is busy, or its cluster has
// yet to choose leaders. The client gives up on each request after 5 s, so the wait is between tries.
const (
	openPatience = time.Minute
	openAgain    = 250 * time.Millisecond
)

// openTopology opens the buckets and streams, creates those that are missing, and joins the processes of the shop. The order
// matters: a process first says what it knows, and then looks whether that is enough. A newer one first notes that it is going to
// write what only newer ones know, and then looks who is there. So one of the two sees the other.
func (l *core) openTopology(ctx context.Context) error {
	deadline := time.Now().Add(openPatience)
	for _, config := range l.config.Topology.Buckets {
		bucket, err := patiently(ctx, deadline, func() (jetstream.KeyValue, error) { return l.openBucket(ctx, config) })
		if errors.Is(err, ErrNoShop) && !slices.Contains([]string{bucketTopology, bucketCheckpoints, bucketLeases}, config.Bucket) {
			continue // a tool of a newer release, which looks at a shop before it is upgraded
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
		stream, err := patiently(ctx, deadline, func() (jetstream.Stream, error) { return l.openStream(ctx, config) })
		if err == nil {
			stream, err = l.planUpgrade(ctx, config, stream)
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

// patiently repeats what a broker that is starting cannot do yet.
func patiently[T any](ctx context.Context, deadline time.Time, open func() (T, error)) (T, error) {
	for {
		opened, err := open()
		if err == nil || !IsTemporary(err) || time.Now().After(deadline) {
			return opened, err
		}
		if err := pause(ctx, openAgain); err != nil {
			return opened, err
		}
	}
}

func (l *core) openStream(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := l.js.Stream(ctx, config.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if l.config.MustExist {
			return nil, fmt.Errorf("%w: no stream %s", ErrNoShop, config.Name)
		}
		stream, err = l.js.CreateStream(ctx, config)
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		stream, err = l.js.Stream(ctx, config.Name) // another process created it in between, or an unanswered try of this one did
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

// openReads opens the handle that single messages are read from. Where there are several copies, the leader alone is asked:
// a copy that lags, or is cut off, answers with what it has, and "no such order" said of one that was taken a moment ago
// would be believed by a customer, or by a decision that then does nothing.
func (l *core) openReads(ctx context.Context) error {
	if l.config.Replicas == 1 {
		l.reads = l.shop
		return nil
	}
	err := l.retryFor(ctx, openPatience, func(ctx context.Context) (err error) {
		l.reads, err = l.js.Stream(ctx, events.StreamShop)
		return err
	})
	if err != nil {
		return fmt.Errorf("open stream %s: %w", events.StreamShop, err)
	}
	l.reads.CachedInfo().Config.AllowDirect = false // by this the client chooses whom to ask
	return nil
}
