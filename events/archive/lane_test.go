package archive_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/archive"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

// A reader that meets a gap in the log takes the missing messages from the archive, so every lane gets every event: a lane that
// follows the reader, and one that is far behind it.
func TestGapInLogIsFilledFromArchive(t *testing.T) {
	t.Parallel()
	const size = 1200 // a process starts to read 1,000 messages before the end
	l, db := logtest.Open(t), projecttest.Database(t)
	adjust(t, l, size)
	want := projecttest.Messages(t, l)
	if err := archive.New(db).Append(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	replaceLog(t, l, want, 3, 4, 5, 900, 1100, 1101)

	var mu sync.Mutex
	var got []archive.Archived
	recorder := worker.Batch{Name: "recorder", Kind: worker.KindProject, Window: time.Millisecond, Max: 300, Handle: func(_ context.Context, items []*worker.Item) error {
		mu.Lock()
		defer mu.Unlock()
		for _, item := range items {
			got = append(got, archive.From(item.Message))
		}
		return nil
	}}
	p := projecttest.Start(t, l, worker.Config{Batches: []worker.Batch{recorder}, Missing: archive.New(db).Messages})
	projecttest.Await(t, "the lane is at the end of the log", func() bool { return p.Lanes()[0].Position >= size })
	mu.Lock()
	defer mu.Unlock()
	for i := range got {
		got[i].Headers, want[i].Headers = nil, nil
		got[i].Stored, want[i].Stored = time.Time{}, time.Time{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("handled messages (-want +got):\n%s", diff)
	}
}
