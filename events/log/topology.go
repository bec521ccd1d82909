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

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Names of the key-value buckets. Their content can be lost and is then written again.
const (
	bucketCheckpoints = "checkpoints"
	bucketLeases      = "leases"
	bucketTopology    = "topology"
)

// leaseMarker is how long the broker keeps the marker of an expired lease, so that every process sees it.
const leaseMarker = time.Minute

// Topology is every stream and bucket of the shop, as data. A release that adds something to them, or to the types of events,
// increments the version. A process that starts adds the missing parts of its topology to the broker, and refuses a broker
// that is configured differently. An upgrade never removes anything: see [PlanUpgrade].
type Topology struct {
	Version int
	Streams []jetstream.StreamConfig
	Buckets []jetstream.KeyValueConfig
}

// CurrentTopology returns the topology of this program, with a number of replicas of every stream.
func CurrentTopology(replicas int) Topology {
	return Topology{Version: events.Topology, Streams: Streams(replicas), Buckets: Buckets(replicas)}
}

// Streams returns the streams of the shop. SHOP keeps every event: when it is full it refuses new messages rather than drop
// old ones (DiscardNew), and it allows neither deletion nor purge, so its sequences have no gaps. DEADLETTERS refers to events
// that a worker could not handle.
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

// Buckets returns the key-value buckets of the shop.
func Buckets(replicas int) []jetstream.KeyValueConfig {
	return []jetstream.KeyValueConfig{
		{Bucket: bucketTopology, Description: "which topology the shop has, and which each process knows", Storage: jetstream.FileStorage, Replicas: replicas, LimitMarkerTTL: leaseMarker},
		{Bucket: bucketCheckpoints, Description: "how far each lane of a worker has come", Storage: jetstream.FileStorage, Replicas: replicas},
		{Bucket: bucketLeases, Description: "which process runs each lane", Storage: jetstream.FileStorage, Replicas: replicas, LimitMarkerTTL: leaseMarker},
	}
}

// operatorFields are the fields of a stream that operators may set.
var operatorFields = []string{"metadata", "max_msgs", "max_bytes"}

// additiveFields are the fields of a stream that a release may turn on while the shop runs: stored messages do not change,
// and older programs do not use the fields.
var additiveFields = []string{"description", "allow_msg_ttl", "allow_msg_counter", "allow_msg_schedules", "allow_atomic", "allow_batched", "allow_direct", "deny_delete", "deny_purge"}

// PlanUpgrade compares the configuration of a stream with the one that a topology wants. added lists in words what the stream
// lacks, "" when nothing; next is the configuration with that added. A subject or field that only the stream has was added by
// a newer release: it is kept if newer is true. Otherwise it is an [ErrDrift], as is every other difference.
func PlanUpgrade(have, want jetstream.StreamConfig, newer bool) (next jetstream.StreamConfig, added string, err error) {
	next, wanted, actual := have, fields(want), fields(have)
	var more, differences []string
	for _, subject := range want.Subjects {
		if !slices.Contains(have.Subjects, subject) {
			next.Subjects = append(slices.Clip(next.Subjects), subject)
			more = append(more, "subject "+subject)
		}
	}
	for _, subject := range have.Subjects {
		if !slices.Contains(want.Subjects, subject) && !newer {
			differences = append(differences, fmt.Sprintf("subjects has %s, want it removed", subject))
		}
	}
	merged := maps.Clone(actual)
	for _, key := range additiveFields {
		w, h := withDefault(key, wanted[key]), withDefault(key, actual[key])
		switch {
		case w == h, newer && w == "unset":
		case h == "unset" || key == "description":
			merged[key] = wanted[key]
			more = append(more, key)
		case !newer:
			differences = append(differences, fmt.Sprintf("%s is %s, want %s", key, h, w))
		}
	}
	if diff := Drift(want, have, slices.Concat(operatorFields, additiveFields, []string{"subjects"})...); diff != "" {
		differences = append(differences, diff)
	}
	if len(differences) > 0 {
		return have, "", fmt.Errorf("%w: stream %s: %s", ErrDrift, want.Name, strings.Join(differences, "; "))
	}
	subjects := next.Subjects
	if err := setFields(&next, merged); err != nil {
		return have, "", err
	}
	next.Subjects = subjects
	return next, strings.Join(more, ", "), nil
}

// setFields sets a configuration from its JSON fields.
func setFields(config *jetstream.StreamConfig, values map[string]string) error {
	raw := make(map[string]json.RawMessage, len(values))
	for key, value := range values {
		raw[key] = json.RawMessage(value)
	}
	data, err := json.Marshal(raw)
	if err != nil {
		return fmt.Errorf("write stream configuration: %w", err)
	}
	if err := json.Unmarshal(data, config); err != nil {
		return fmt.Errorf("read stream configuration: %w", err)
	}
	return nil
}

// upgradeOnOpen adds the missing parts of this program's topology to a stream, and returns [ErrDrift] when the stream is
// configured differently. The broker updates a stream without compare-and-set, so only the process that holds the lease of the
// topology updates it, and reads the result back.
func (l *core) upgradeOnOpen(ctx context.Context, want jetstream.StreamConfig, stream jetstream.Stream) (jetstream.Stream, error) {
	if l.config.MustExist {
		return stream, nil // a tool changes nothing
	}
	state, err := l.TopologyState(ctx)
	if err != nil {
		return nil, err
	}
	have, newer := stream.CachedInfo().Config, state.Applied > l.config.Topology.Version
	_, added, err := PlanUpgrade(have, want, newer)
	if err != nil {
		return nil, err
	}
	if added == "" && (newer || state.Applied == l.config.Topology.Version) {
		return stream, nil
	}
	release, err := l.lockTopology(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return l.updateStream(ctx, want)
}

// Difference is how a stream or bucket differs from this program's topology.
type Difference struct {
	Name  string `json:"name"`
	Added string `json:"added"`           // the parts of the topology that the broker lacks, "" when none
	Drift string `json:"drift,omitempty"` // settings that differ, which a program refuses; "" when none
}

// Differences compares the broker's streams and buckets with this program's topology.
func (l *core) Differences(ctx context.Context) (all []Difference, err error) {
	state, err := l.TopologyState(ctx)
	if err != nil {
		return nil, err
	}
	for _, want := range l.config.Topology.Streams {
		stream, err := l.js.Stream(ctx, want.Name)
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", want.Name, unavailable(ctx, err))
		}
		_, added, err := PlanUpgrade(stream.CachedInfo().Config, want, state.Applied > l.config.Topology.Version)
		d := Difference{Name: want.Name, Added: added}
		if err != nil {
			d.Drift = err.Error()
		}
		all = append(all, d)
	}
	for _, want := range l.config.Topology.Buckets {
		d := Difference{Name: want.Bucket}
		if _, err := l.js.KeyValue(ctx, want.Bucket); errors.Is(err, jetstream.ErrBucketNotFound) {
			d.Added = "the bucket"
		} else if err != nil {
			return nil, fmt.Errorf("read bucket %s: %w", want.Bucket, unavailable(ctx, err))
		}
		all = append(all, d)
	}
	return all, nil
}

// Upgrade adds the missing parts of this program's topology to the broker, as a process of the shop does when it starts. It is
// for a broker user that may change streams, when the users of the processes may not.
func (l *core) Upgrade(ctx context.Context) error {
	for _, want := range l.config.Topology.Buckets {
		_, err := l.js.KeyValue(ctx, want.Bucket)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			_, err = l.js.CreateKeyValue(ctx, want)
		}
		if err != nil {
			return fmt.Errorf("create bucket %s: %w", want.Bucket, unavailable(ctx, err))
		}
	}
	release, err := l.lockTopology(ctx)
	if err != nil {
		return err
	}
	defer release()
	for _, want := range l.config.Topology.Streams {
		if _, err := l.updateStream(ctx, want); err != nil {
			return fmt.Errorf("upgrade stream %s: %w", want.Name, err)
		}
	}
	return nil
}

// updateStream adds the missing parts of this program's topology to a stream. The caller holds the lease of the topology.
func (l *core) updateStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	state, err := l.TopologyState(ctx)
	if err != nil {
		return nil, err
	}
	if state.Applied < l.config.Topology.Version {
		state.Applied = l.config.Topology.Version
		if err := l.putState(ctx, &state); err != nil {
			return nil, err
		}
	}
	stream, err := l.js.Stream(ctx, want.Name)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	next, added, err := PlanUpgrade(stream.CachedInfo().Config, want, state.Applied > l.config.Topology.Version)
	if err != nil || added == "" {
		return stream, err
	}
	if stream, err = l.js.UpdateStream(ctx, next); err != nil {
		return nil, fmt.Errorf("add %s: %w; the broker user may lack the permission to change streams, see `ops topology --help`", added, unavailable(ctx, err))
	}
	if _, missing, err := PlanUpgrade(stream.CachedInfo().Config, want, true); err != nil || missing != "" {
		return nil, errors.Join(err, fmt.Errorf("%w: the broker did not add: %s", ErrDrift, missing))
	}
	l.config.Logger.Info("stream upgraded", "stream", want.Name, "added", added, "topology", l.config.Topology.Version)
	return stream, nil
}

// laneTopology is the name of the lease under which streams are changed.
const laneTopology = "topology"

// lockTopology waits for the lease. The lease of a holder that died expires.
func (l *core) lockTopology(ctx context.Context) (release func(), err error) {
	acquire := func() (func(), error) {
		lease, ok, err := l.Acquire(ctx, laneTopology, l.members.self.ID)
		if err != nil {
			return nil, backoff.Permanent(err)
		}
		if !ok {
			return nil, fmt.Errorf("lease of the topology: held by %s", lease.Holder)
		}
		return func() {
			if err := l.Release(context.WithoutCancel(ctx), lease); err != nil {
				l.config.Logger.Warn("lease not released", "lane", laneTopology, "error", err)
			}
		}, nil
	}
	return backoff.Retry(ctx, acquire, backoff.WithBackOff(backoff.NewConstantBackOff(openDelay)), backoff.WithMaxElapsedTime(0))
}

// openReads opens the handle for reading single messages. With several replicas it reads from the leader only: a replica that
// lags or is cut off would answer "no such order" for an order that was placed a moment ago, to a shopper or to a decision
// that then does nothing.
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
	l.reads.CachedInfo().Config.AllowDirect = false // makes the client read from the leader
	return nil
}

// defaults are the values that the broker sets for fields that a configuration leaves out.
var defaults = map[string]string{
	"max_consumers": "-1", "max_msgs": "-1", "max_bytes": "-1", "max_msg_size": "-1", "max_msgs_per_subject": "-1", "duplicate_window": "120000000000",
	"num_replicas": "1", "compression": `"none"`, "ack_wait": "30000000000", "max_deliver": "-1", "replay_policy": `"instant"`,
	"max_waiting": "512", "max_ack_pending": "1000", "deliver_policy": `"all"`, "ack_policy": `"none"`,
}

// Drift compares a wanted configuration with the actual one, field by field of their JSON forms, and returns the differences
// in words, "" when there are none. A field that is left out has its default value. Fields in ignore are not compared.
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
