package staff

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	eventlog "tillstream/events/log"
)

// usageBucket has, for each API key that was used, when. The topology does not list it, because nothing depends on it: it is made by the
// first process that writes it, and where the broker's user may not do that, the last use is not known.
const usageBucket = "usage"

// usageStep is how exact the last use is: all processes together write it about once in this time, whatever a key is used for.
const usageStep = time.Hour

// usageRetry is when a use is written after one that could not be.
const usageRetry = time.Minute

// usage records when API keys were used. A request never waits for it.
//
//	ofKey ─► note ─► due ─► run ─► bucket
type usage struct {
	log *eventlog.Log
	due chan use

	mu   sync.Mutex
	next map[string]time.Time // by name: when to note the next use
}

// use is that a key was used.
type use struct {
	name string
	at   time.Time
}

func newUsage(l *eventlog.Log) *usage {
	return &usage{log: l, due: make(chan use, 100), next: map[string]time.Time{}}
}

// note makes a use due, unless that of a key was noted a short time ago.
func (u *usage) note(name string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Before(u.next[name]) {
		return
	}
	select {
	case u.due <- use{name, now}:
		u.next[name] = now.Add(usageStep)
	default: // a later use is noted
	}
}

// run writes what is due, until ctx ends.
func (u *usage) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case due := <-u.due:
			if err := u.write(ctx, due); err != nil && ctx.Err() == nil {
				u.log.Logger().Warn("last use of an API key not recorded", "key", due.name, "error", err)
				u.mu.Lock()
				u.next[due.name] = due.at.Add(usageRetry)
				u.mu.Unlock()
			}
		}
	}
}

// flush writes what is due. It is for tools, which end before run would.
func (u *usage) flush(ctx context.Context) error {
	for {
		select {
		case due := <-u.due:
			if err := u.write(ctx, due); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// write records a use, unless another process has recorded one a short time ago. Of two processes that do it at once, either may be
// the last: their times differ by little.
func (u *usage) write(ctx context.Context, due use) error {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	js := u.log.JetStream()
	bucket, err := js.KeyValue(ctx, usageBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: usageBucket, Description: "when each API key was last used",
			Storage: jetstream.FileStorage, Replicas: u.log.Replicas()})
	}
	if errors.Is(err, jetstream.ErrBucketExists) { // made by another process meanwhile
		bucket, err = js.KeyValue(ctx, usageBucket)
	}
	if err != nil {
		return fmt.Errorf("open the bucket %s: %w", usageBucket, err)
	}
	if last, err := lastUse(ctx, bucket, due.name); err != nil || due.at.Sub(last) < usageStep {
		return err
	}
	if _, err := bucket.Put(ctx, due.name, []byte(due.at.UTC().Format(time.RFC3339))); err != nil {
		return fmt.Errorf("record the use of the API key %s: %w", due.name, err)
	}
	return nil
}

// lastUse returns when a key was last used, the zero time if no use of it is known.
func lastUse(ctx context.Context, bucket jetstream.KeyValue, name string) (time.Time, error) {
	entry, err := bucket.Get(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read the last use of the API key %s: %w", name, err)
	}
	at, err := time.Parse(time.RFC3339, string(entry.Value()))
	if err != nil {
		return time.Time{}, fmt.Errorf("read the last use of the API key %s: %w", name, err)
	}
	return at, nil
}

// LastUses returns when each API key was last used, by name, to the hour. A key that is missing was not used since it was made, or only
// before a release that records this.
func (d *Directory) LastUses(ctx context.Context) (map[string]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	bucket, err := d.log.JetStream().KeyValue(ctx, usageBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return map[string]time.Time{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the bucket %s: %w", usageBucket, err)
	}
	all := map[string]time.Time{}
	for _, k := range d.Keys() {
		at, err := lastUse(ctx, bucket, k.Name)
		if err != nil {
			return nil, err
		}
		if !at.Before(k.Made.Truncate(time.Second)) { // else it was an earlier key of this name
			all[k.Name] = at
		}
	}
	return all, nil
}

// RecordUses writes that API keys were used with which this directory was asked. Only a tool needs it: [Directory.Run] does the same.
func (d *Directory) RecordUses(ctx context.Context) error { return d.usage.flush(ctx) }
