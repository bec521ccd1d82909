//go:build unix

package process_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
)

// storeOf returns the directory of a node's copy of the log.
func storeOf(n *brokerNode) string {
	return filepath.Join(filepath.Dir(n.config), n.Name, "jetstream", "$G", "streams", events.StreamShop)
}

// flipByte flips one byte of a message in the middle of a stopped node's copy of the log.
func flipByte(t *testing.T, n *brokerNode) {
	t.Helper()
	file := filepath.Join(storeOf(n), "msgs", "1.blk")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	half := len(data) / 2
	at := bytes.Index(data[half:], []byte("ce-type"))
	if at < 0 {
		t.Fatalf("%s has no message in its second half", file)
	}
	data[half+at] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// copyToArchive archives the whole log.
func copyToArchive(t *testing.T, reader *replay.Reader, db *mongo.Database) {
	t.Helper()
	var all []archive.Archived
	err := reader.Each(t.Context(), replay.Range{}, func(m replay.Message) error {
		all = append(all, archive.From(m))
		return nil
	})
	if err == nil {
		err = archive.New(db).Append(t.Context(), all)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Row 64 of the fault matrix: one of three brokers has a damaged copy of the log. The audit names the broker and the sequence, readers
// take the event from another broker, a repair finds nothing to do, and the broker that was given an empty copy catches up.
func TestADamagedReplicaIsNamedAndReplaced(t *testing.T) {
	t.Parallel()
	tr := startTraffic(t)
	damaged := tr.follower(tr.leader(t, events.StreamShop))
	tr.checkOrders(t)
	reader, done, err := target.Shop{NATS: tr.cluster.URL()}.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	db := projecttest.Database(t)
	copyToArchive(t, reader, db)
	audit := func() (differences []replay.Difference) {
		t.Helper()
		proc.WaitFor(t, "the copies of all brokers are read", time.Minute, func() bool {
			report, err := replay.Audit{DB: db, Log: reader}.Run(t.Context())
			differences = report.First
			return err == nil && len(report.Unread) == 0
		})
		return differences
	}
	if found := audit(); len(found) > 0 {
		t.Errorf("before the damage: got %+v, want no differences", found)
	}
	damaged.Retire(t)
	flipByte(t, damaged)
	damaged.Start(t)
	tr.awaitReplicas(t)
	want := "missing in the copy of the log on server " + damaged.Name
	if found := audit(); len(found) != 1 || found[0].Kind != replay.MissingOnServer || found[0].From != found[0].To || found[0].Detail != want {
		t.Errorf("damaged copy: got %+v, want one sequence %s", found, want)
	}
	if report, err := (replay.Repair{DB: db, Log: reader, DryRun: true}).Run(t.Context()); err != nil || report.HasFindings() {
		t.Errorf("repair: got %+v, %v; want no findings", report, err)
	}
	damaged.Retire(t)
	if err := os.RemoveAll(storeOf(damaged)); err != nil {
		t.Fatal(err)
	}
	damaged.Start(t)
	tr.awaitReplicas(t)
	proc.WaitFor(t, "the broker has copied the log", time.Minute, func() bool { return len(audit()) == 0 })
}
