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

// Streams is the topology: every stream of the shop, as data. Entity streams keep everything, refuse what does not fit
// (DiscardNew) rather than drop the oldest, and let nobody delete or purge. They have neither roll-ups nor schedules.
//
// TIMERS stands apart because schedules need what money must not have: the broker deletes the messages that have fired.
// PARKED recognises a repeat by its message id for as long as a worker may repeat it.
func Streams(replicas int) []jetstream.StreamConfig {
	entity := func(name, description string, subjects ...string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: description, Subjects: subjects, Replicas: replicas,
			Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
			DenyDelete: true, DenyPurge: true, AllowDirect: true, AllowAtomicPublish: true,
		}
	}
	timers := entity(events.StreamTimers, "schedules and what they fire", "timers.>")
	timers.Discard, timers.DenyDelete, timers.DenyPurge = jetstream.DiscardOld, false, false
	timers.AllowMsgSchedules, timers.AllowMsgTTL, timers.AllowRollup = true, true, true
	timers.MaxAge = 30 * 24 * time.Hour
	parked := entity(events.StreamParked, "what a worker could not handle", events.PrefixParked+"*")
	parked.DenyDelete, parked.Duplicates = false, 10*time.Minute
	return []jetstream.StreamConfig{
		entity(events.StreamOrders, "the customer's promise", events.PrefixOrder+"*"),
		entity(events.StreamInventory, "what can be promised", events.PrefixItem+"*", events.PrefixStock+"*", events.PrefixReservation+"*"),
		entity(events.StreamPayments, "what was taken", events.PrefixPayment+"*"),
		entity(events.StreamNotifications, "what the customer was told", events.PrefixNotification+"*"),
		timers, parked,
	}
}

// How long a broker that is up may take over a stream before that counts as a failure: its disk is busy, or its cluster has
// yet to choose leaders. The client gives up on each request after 5 s, so the wait is between tries.
const (
	openPatience = time.Minute
	openAgain    = 250 * time.Millisecond
)

// ensureStreams creates the streams that do not exist and returns [ErrDrift] when one is configured otherwise.
func ensureStreams(ctx context.Context, js jetstream.JetStream, wanted []jetstream.StreamConfig) (map[string]jetstream.Stream, error) {
	streams, deadline := make(map[string]jetstream.Stream, len(wanted)), time.Now().Add(openPatience)
	for _, config := range wanted {
		stream, err := openStream(ctx, js, config)
		for err != nil && IsPassing(err) && time.Now().Before(deadline) {
			select {
			case <-ctx.Done():
				return nil, fmt.Errorf("open stream %s: %w", config.Name, ctx.Err())
			case <-time.After(openAgain):
				stream, err = openStream(ctx, js, config)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("open stream %s: %w", config.Name, err)
		}
		if diff := Drift(config, stream.CachedInfo().Config, "metadata", "max_msgs", "max_bytes"); diff != "" {
			return nil, fmt.Errorf("%w: stream %s: %s", ErrDrift, config.Name, diff)
		}
		streams[config.Name] = stream
	}
	return streams, nil
}

func openStream(ctx context.Context, js jetstream.JetStream, config jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, config.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, config)
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		stream, err = js.Stream(ctx, config.Name) // another process created it in between, or our own lost answer did
	}
	return stream, err
}

// readable returns the streams as states are read from. Where there are several copies, the leader alone is asked: a copy
// that lags, or is cut off, answers what it has, and "no such order" said of one that was taken a moment ago would be
// believed by a customer, or by a decision that then does nothing.
func (l *Log) readable(ctx context.Context) (map[string]jetstream.Stream, error) {
	if l.config.Replicas == 1 {
		return l.streams, nil
	}
	reads := make(map[string]jetstream.Stream, len(l.streams))
	for name := range l.streams {
		var stream jetstream.Stream
		err := l.askFor(ctx, openPatience, func(ctx context.Context) (err error) {
			stream, err = l.js.Stream(ctx, name)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("open stream %s: %w", name, err)
		}
		stream.CachedInfo().Config.AllowDirect = false // by this the client chooses whom to ask
		reads[name] = stream
	}
	return reads, nil
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
