package log

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Names of the key-value buckets. What stands in them can be lost and made again.
const (
	bucketCheckpoints = "checkpoints"
	bucketLeases      = "leases"
)

// leaseMarker is how long the broker keeps the marker of a lease that ran out: long enough for every process to see it.
const leaseMarker = time.Minute

// Streams is the topology, as data: every stream of the shop. SHOP keeps everything, refuses what does not fit (DiscardNew)
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

// openTopology opens the streams and buckets, creates those that are missing, and returns [ErrDrift] when a stream is
// configured otherwise.
func (l *core) openTopology(ctx context.Context) error {
	deadline := time.Now().Add(openPatience)
	for _, config := range Streams(l.config.Replicas) {
		stream, err := patiently(ctx, deadline, func() (jetstream.Stream, error) { return l.openStream(ctx, config) })
		if err != nil {
			return fmt.Errorf("open stream %s: %w", config.Name, err)
		}
		if diff := Drift(config, stream.CachedInfo().Config, "metadata", "max_msgs", "max_bytes"); diff != "" {
			return fmt.Errorf("%w: stream %s: %s", ErrDrift, config.Name, diff)
		}
		if config.Name == events.StreamShop {
			l.shop = stream
		}
	}
	for _, config := range Buckets(l.config.Replicas) {
		bucket, err := patiently(ctx, deadline, func() (jetstream.KeyValue, error) { return l.openBucket(ctx, config) })
		if err != nil {
			return fmt.Errorf("open bucket %s: %w", config.Bucket, err)
		}
		switch config.Bucket {
		case bucketCheckpoints:
			l.checkpoint = bucket
		case bucketLeases:
			l.lease = bucket
		}
	}
	return l.openReads(ctx)
}

// patiently repeats what a broker that is starting cannot do yet.
func patiently[T any](ctx context.Context, deadline time.Time, open func() (T, error)) (T, error) {
	for {
		opened, err := open()
		if err == nil || !IsPassing(err) || time.Now().After(deadline) {
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
	err := l.askFor(ctx, openPatience, func(ctx context.Context) (err error) {
		l.reads, err = l.js.Stream(ctx, events.StreamShop)
		return err
	})
	if err != nil {
		return fmt.Errorf("open stream %s: %w", events.StreamShop, err)
	}
	l.reads.CachedInfo().Config.AllowDirect = false // by this the client chooses whom to ask
	return nil
}

// defaults are the values that the broker fills in for a field that a configuration leaves out.
var defaults = map[string]string{
	"max_consumers": "-1", "max_msgs": "-1", "max_bytes": "-1", "max_msg_size": "-1", "max_msgs_per_subject": "-1", "duplicate_window": "120000000000",
	"num_replicas": "1", "compression": `"none"`, "ack_wait": "30000000000", "max_deliver": "-1", "replay_policy": `"instant"`,
	"max_waiting": "512", "max_ack_pending": "1000", "deliver_policy": `"all"`, "ack_policy": `"none"`,
}

// Drift compares a wanted configuration with the actual one, field by field of their JSON forms, and says what differs;
// "" when nothing does. A field that either leaves out stands for its default. Fields in ignore are an operator's to set.
func Drift(wanted, actual any, ignore ...string) string {
	want, have := fields(wanted), fields(actual)
	keys := maps.Clone(want)
	maps.Copy(keys, have)
	var differences []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		w, h := withDefault(key, want[key]), withDefault(key, have[key])
		if w != h && !slices.Contains(ignore, key) {
			differences = append(differences, fmt.Sprintf("%s is %s, want %s", key, h, w))
		}
	}
	return strings.Join(differences, "; ")
}

func withDefault(key, value string) string {
	empty := value == "" || value == "0" || value == "false" || value == "null" || value == "{}"
	if d, ok := defaults[key]; ok && empty {
		return d
	}
	if empty {
		return "unset"
	}
	return value
}

func fields(config any) map[string]string {
	data, err := json.Marshal(config)
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return map[string]string{"error": err.Error()}
	}
	out := make(map[string]string, len(raw))
	for k, v := range raw {
		out[k] = string(v)
	}
	return out
}
