package archive_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/archive"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

// publish stores a message as it was.
func publish(t *testing.T, js jetstream.JetStream, m archive.Archived) {
	t.Helper()
	header := maps.Clone(m.Headers)
	maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") }) // of its batch
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: m.Subject, Header: header, Data: m.Body()}); err != nil {
		t.Fatal(err)
	}
}

// A reader that meets a gap in the log takes what is missing from the archive, so every lane gets every event: those that
// keep up with the reader, and those that are far behind it.
func TestAGapInTheLogIsFilledFromTheArchive(t *testing.T) {
	t.Parallel()
	const size = 1200 // a process begins to read 1,000 before the end
	l, db := logtest.Open(t), projecttest.Database(t)
	move(t, l, size)
	all := messages(t, l)
	if err := archive.New(db).Append(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	replaceLog(t, l, all, 3, 4, 5, 900, 1100, 1101)

	var mu sync.Mutex
	var handed []archive.Archived
	recorder := worker.Batch{Name: "recorder", Kind: worker.KindProject, Window: time.Millisecond, Max: 300, Handle: func(_ context.Context, items []*worker.Item) error {
		mu.Lock()
		defer mu.Unlock()
		for _, item := range items {
			handed = append(handed, archive.From(item.Message))
		}
		return nil
	}}
	shop := run(t, l, worker.Config{Batches: []worker.Batch{recorder}, Missing: archive.New(db).Messages})
	await(t, "the lane has come to the end", func() bool { return shop.Lanes()[0].Position >= size })
	mu.Lock()
	defer mu.Unlock()
	for i := range handed {
		handed[i].Headers, all[i].Headers = nil, nil
		handed[i].Stored, all[i].Stored = time.Time{}, time.Time{}
	}
	if diff := cmp.Diff(all, handed); diff != "" {
		t.Errorf("handed on, want -, got +:\n%s", diff)
	}
}
