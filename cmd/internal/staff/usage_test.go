package staff

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/api"
	"tillstream/events/log/logtest"
)

// lastUses returns when keys were last used.
func (p *process) lastUses(t *testing.T) map[string]time.Time {
	t.Helper()
	uses, err := p.directory.LastUses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return uses
}

// All processes together record the last use of a key, once an hour, and append nothing to the log. A key with the name of a revoked one
// was not used yet.
func TestLastUseOfAKeyIsRecordedOnceAnHour(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	here, there := startOn(t, server, secret), startOn(t, server, "")
	key, err := here.MakeKey(t.Context(), NewAPIKey{Name: "till", Permissions: []api.Permission{api.ReadAll}}, boss)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the other process knows the key", func() bool { _, ok := there.directory.Key("till"); return ok })
	if uses := here.lastUses(t); len(uses) != 0 {
		t.Errorf("before the first use: got %v, want none", uses)
	}
	end, err := here.log.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	first := here.clock.now()
	used := func(p *process, at time.Time, want time.Time) {
		t.Helper()
		p.clock.at = at
		for range 2 { // the second use within the step is not written
			if !p.knows(key) || p.knows(KeyPrefix+"GUESSED") {
				t.Fatal("the key is not known, or a guessed one is")
			}
		}
		waitFor(t, "the use is recorded", func() bool { return here.lastUses(t)["till"].Equal(want) })
	}
	used(here, first, first)
	used(there, first.Add(usageStep-time.Second), first)
	used(there, first.Add(2*usageStep), first.Add(2*usageStep))
	used(here, first.Add(3*usageStep), first.Add(3*usageStep))
	bucket, err := here.log.JetStream().KeyValue(t.Context(), usageBucket)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "nothing is due", func() bool { return len(here.directory.usage.due)+len(there.directory.usage.due) == 0 })
	if entry, err := bucket.Get(t.Context(), "till"); err != nil || entry.Revision() != 3 {
		t.Errorf("got %v, %v; want three writes", entry, err)
	}
	if now, err := here.log.End(t.Context(), 0); err != nil || now != end {
		t.Errorf("got %d events, %v; want none", now-end, err)
	}
	here.clock.advance(time.Minute)
	if err := here.RevokeKey(t.Context(), "till", boss); err != nil {
		t.Fatal(err)
	}
	if _, err := here.MakeKey(t.Context(), NewAPIKey{Name: "till", Permissions: []api.Permission{api.ReadAll}}, boss); err != nil {
		t.Fatal(err)
	}
	if uses := here.lastUses(t); len(uses) != 0 {
		t.Errorf("a new key of the same name: got %v, want no use", uses)
	}
}

// A tool, whose directory does not follow the log, records its use before it ends. What cannot be read is an error, not "never".
func TestToolRecordsTheUseOfItsKey(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t).ForDomain("ops")
	service, err := New(Config{Directory: NewDirectory(l), Log: l})
	if err != nil {
		t.Fatal(err)
	}
	key, err := service.MakeKey(t.Context(), NewAPIKey{Name: "tool", Permissions: []api.Permission{api.ReadAll}}, boss)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := service.directory.Staff("Bearer " + key); !ok {
		t.Fatal("the key is not known")
	}
	if err := service.directory.RecordUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	if uses, err := service.directory.LastUses(t.Context()); err != nil || uses["tool"].IsZero() {
		t.Errorf("got %v, %v; want a use", uses, err)
	}
	bucket, err := l.JetStream().UpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: usageBucket, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.PutString(t.Context(), "tool", "yesterday"); err != nil {
		t.Fatal(err)
	}
	if uses, err := service.directory.LastUses(t.Context()); err == nil {
		t.Errorf("a time that cannot be read: got %v, want an error", uses)
	}
}
