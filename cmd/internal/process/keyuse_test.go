package process_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// checkUseOfKeys has a user record the use of an API key, which ops reads.
func checkUseOfKeys(t *testing.T, broker *server.Server, l *eventlog.Log) {
	t.Helper()
	reader, err := replay.Open(t.Context(), connectAs(t, broker, "ops"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	known := staff.NewDirectory(reader.Log())
	service, err := staff.New(staff.Config{Directory: known, Log: reader.Log()})
	if err != nil {
		t.Fatal(err)
	}
	name := "key-" + strings.ToLower(rand.Text())
	key, err := service.MakeKey(t.Context(), staff.NewAPIKey{Name: name, Permissions: api.Permissions()}, events.Author{Reason: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	directory := staff.NewDirectory(l)
	if err := directory.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := directory.Staff("Bearer " + key); !ok {
		t.Fatal("the key is not known")
	}
	if err := directory.RecordUses(t.Context()); err != nil {
		t.Errorf("record the use of an API key: %v", err)
	}
	if uses, err := known.LastUses(t.Context()); err != nil || uses[name].IsZero() {
		t.Errorf("last uses as ops: got %v, %v; want one of %s", uses, err, name)
	}
}
