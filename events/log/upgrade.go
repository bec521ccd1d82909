package log

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// operators are fields of a stream that are an operator's to set.
var operators = []string{"metadata", "max_msgs", "max_bytes"}

// additive are fields of a stream that a release may turn on in a shop that sells: nothing that is stored changes, and older
// programs do without.
var additive = []string{"description", "allow_msg_ttl", "allow_msg_counter", "allow_msg_schedules", "allow_atomic", "allow_batched", "allow_direct", "deny_delete", "deny_purge"}

// PlanUpgrade compares a stream as it is with what a topology wants of it. added says in words what the topology has more, "" when
// nothing; next is the stream with that. Where the stream itself has more, a newer release made it: that is left as it is if
// newer is true, and is an [ErrDrift] otherwise, as is every other difference.
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
			differences = append(differences, fmt.Sprintf("subjects has %s, want it gone", subject))
		}
	}
	merged := maps.Clone(actual)
	for _, key := range additive {
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
	if diff := Drift(want, have, slices.Concat(operators, additive, []string{"subjects"})...); diff != "" {
		differences = append(differences, diff)
	}
	if len(differences) > 0 {
		return have, "", fmt.Errorf("%w: stream %s: %s", ErrDrift, want.Name, strings.Join(differences, "; "))
	}
	subjects := next.Subjects
	if err := unfields(merged, &next); err != nil {
		return have, "", err
	}
	next.Subjects = subjects
	return next, strings.Join(more, ", "), nil
}

// unfields reads a configuration back from its fields.
func unfields(merged map[string]string, config *jetstream.StreamConfig) error {
	raw := make(map[string]json.RawMessage, len(merged))
	for key, value := range merged {
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

// evolve adds to a stream what this topology has more, and returns [ErrDrift] when it is configured otherwise. The broker
// cannot compare when it updates a stream, so only the process that has the lease of the topology does it, and reads back what
// came of it.
func (l *core) planUpgrade(ctx context.Context, want jetstream.StreamConfig, stream jetstream.Stream) (jetstream.Stream, error) {
	if l.config.MustExist {
		return stream, nil // a tool takes the shop as it is
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
	return l.update(ctx, want)
}

// Difference is what a stream or bucket lacks of the topology that this program knows.
type Difference struct {
	Name  string `json:"name"`
	Added string `json:"added"`           // what this topology has more, "" when nothing
	Drift string `json:"drift,omitempty"` // what is configured otherwise, and is refused
}

// Differences compares what the broker has with what this program wants.
func (l *core) Differences(ctx context.Context) (all []Difference, err error) {
	state, err := l.TopologyState(ctx)
	if err != nil {
		return nil, err
	}
	for _, want := range l.config.Topology.Streams {
		stream, err := l.js.Stream(ctx, want.Name)
		if err != nil {
			return nil, fmt.Errorf("look at stream %s: %w", want.Name, unavailable(ctx, err))
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
			return nil, fmt.Errorf("look at bucket %s: %w", want.Bucket, unavailable(ctx, err))
		}
		all = append(all, d)
	}
	return all, nil
}

// Upgrade adds to the broker what this program's topology has more, as a process of the shop does when it starts. It is for a
// user that may change streams, where the users of the processes may not.
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
		if _, err := l.update(ctx, want); err != nil {
			return fmt.Errorf("upgrade stream %s: %w", want.Name, err)
		}
	}
	return nil
}

// update makes the change, under the lease.
func (l *core) update(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
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
		return nil, fmt.Errorf("add to the stream: %s: %w; this user may not be allowed to change streams, see `ops topology --help`", added, unavailable(ctx, err))
	}
	if _, missing, err := PlanUpgrade(stream.CachedInfo().Config, want, true); err != nil || missing != "" {
		return nil, errors.Join(err, fmt.Errorf("%w: the broker did not add: %s", ErrDrift, missing))
	}
	l.config.Logger.Info("stream has more", "stream", want.Name, "added", added, "topology", l.config.Topology.Version)
	return stream, nil
}

// laneTopology is the lease under which streams are changed.
const laneTopology = "topology"

// lockTopology waits for the lease. A holder that died has it for as long as a lease lasts.
func (l *core) lockTopology(ctx context.Context) (release func(), err error) {
	for {
		lease, ok, err := l.Acquire(ctx, laneTopology, l.members.self.ID)
		if err != nil {
			return nil, err
		}
		if ok {
			return func() {
				if err := l.Release(context.WithoutCancel(ctx), lease); err != nil {
					l.config.Logger.Warn("release the lease of the topology", "error", err)
				}
			}, nil
		}
		if err := pause(ctx, openAgain); err != nil {
			return nil, err
		}
	}
}
