package archive_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

var levels = eventlog.Entity[int64]{Prefix: events.PrefixStock, Apply: func(s int64, e events.Event) (int64, error) {
	return s + e.Payload.(events.StockAdjusted).Quantity, nil
}}

// adjust appends n events about one SKU.
func adjust(t testing.TB, l *eventlog.Log, n int) {
	t.Helper()
	adjusted := events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "A", Quantity: 1}, Reason: "counted"}
	for part := range slices.Chunk(slices.Repeat([]events.Payload{adjusted}, n), 500) {
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return levels.Append(tx, "A", part...) }); err != nil {
			t.Fatal(err)
		}
	}
}

// process runs the lane of the archive on a log.
type process struct {
	*projecttest.Process

	log *eventlog.Log
}

func start(t testing.TB, l *eventlog.Log, db *mongo.Database) *process {
	t.Helper()
	return &process{projecttest.Start(t, l, archiving(l, db)), l}
}

// archiving is the configuration of a worker that only archives.
func archiving(l *eventlog.Log, db *mongo.Database) worker.Config {
	return worker.Config{Batches: []worker.Batch{archive.Batch(l, archive.Config{DB: db, Window: 20 * time.Millisecond})}}
}

// problem returns the error that the lane reports.
func (p *process) problem() error { return p.Lanes()[0].Problem }

// await waits until everything is archived.
func (p *process) await(t testing.TB) {
	t.Helper()
	last := projecttest.End(t, p.log)
	projecttest.Await(t, "everything is archived", func() bool { s := p.Lanes()[0]; return s.Leased && s.Problem == nil && s.Position >= last })
}

// head returns the head of the archive in a database.
func head(t testing.TB, db *mongo.Database) archive.Head {
	t.Helper()
	h, err := archive.New(db).Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// made returns messages with the sequences from first to last.
func made(first, last uint64) (all []archive.Archived) {
	for sequence := first; sequence <= last; sequence++ {
		header := nats.Header{events.HeaderID: {fmt.Sprintf("event-%d", sequence)}}
		all = append(all, archive.From(eventlog.Message{Sequence: sequence, Subject: "inventory.stock.main.A", Stored: time.Unix(int64(sequence), 0), Header: header,
			Data: fmt.Appendf(nil, `{"n":%d}`, sequence)}))
	}
	return all
}

// replaceLog replaces the log by another one, from which messages are deleted. The log of a shop denies deletion.
func replaceLog(t *testing.T, l *eventlog.Log, messages []archive.Archived, deleted ...uint64) {
	t.Helper()
	stream := logtest.Replaceable(t, l)
	for _, m := range messages {
		header := maps.Clone(m.Headers)
		maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") }) // of the original batch
		if _, err := l.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: m.Subject, Header: header, Data: m.Body()}); err != nil {
			t.Fatal(err)
		}
	}
	for _, sequence := range deleted {
		if err := stream.SecureDeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
}
