package replay_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

// loseChunk removes a chunk from the archive.
func (c *installation) loseChunk(id string) {
	c.t.Helper()
	result, err := c.db.Collection(archive.Collection).DeleteOne(c.t.Context(), bson.D{{Key: "_id", Value: id}})
	if err != nil || result.DeletedCount != 1 {
		c.t.Fatalf("delete chunk %s: got %+v, %v; want one", id, result, err)
	}
}

// damageChunk flips one byte of a chunk.
func (c *installation) damageChunk(id string) {
	c.t.Helper()
	collection, filter := c.db.Collection(archive.Collection), bson.D{{Key: "_id", Value: id}}
	var chunk bson.M
	if err := collection.FindOne(c.t.Context(), filter).Decode(&chunk); err != nil {
		c.t.Fatal(err)
	}
	data := chunk["messages"].(bson.Binary)
	data.Data[len(data.Data)/2] ^= 1
	chunk["messages"] = data
	if _, err := collection.ReplaceOne(c.t.Context(), filter, chunk); err != nil {
		c.t.Fatal(err)
	}
}

// Row 64 of the fault matrix: whatever one copy still has returns under its old sequence, and what neither has is named and replaced by a
// placeholder. Nothing is set aside, and no lane is set back.
func TestRepairFillsGaps(t *testing.T) {
	t.Parallel()
	chunk := func(sequence string) string { return "00000000000" + sequence }
	all := []string{"a1", "b1", "c1", "d1"}
	for name, test := range map[string]struct {
		damage                  func(c *installation)
		want                    []string
		damaged, gone, archived uint64
	}{
		"InTheLog":             {func(c *installation) { c.deleteMessages(2) }, all, 1, 0, 0},
		"AtTheBeginning":       {func(c *installation) { c.deleteMessages(1, 2) }, all, 2, 0, 0},
		"AtTheEnd":             {func(c *installation) { c.deleteMessages(4) }, all, 1, 0, 0},
		"OfEverything":         {func(c *installation) { c.deleteMessages(1, 2, 3, 4) }, all, 4, 0, 0},
		"InBothCopies":         {func(c *installation) { c.deleteMessages(3); c.loseChunk(chunk("3")) }, []string{"a1", "b1", "lost-3", "d1"}, 0, 1, 0},
		"InBothCopiesAtTheEnd": {func(c *installation) { c.deleteMessages(4); c.loseChunk(chunk("4")) }, []string{"a1", "b1", "c1", "lost-4"}, 0, 1, 0},
		"InEachCopyAnother":    {func(c *installation) { c.deleteMessages(2); c.loseChunk(chunk("3")) }, all, 1, 0, 1},
		"InTheArchive":         {func(c *installation) { c.damageChunk(chunk("3")) }, all, 0, 0, 1},
		"InEachCopyDamaged":    {func(c *installation) { c.deleteMessages(2, 4); c.damageChunk(chunk("1")) }, all, 2, 0, 1},
		"InBothCopiesDamaged":  {func(c *installation) { c.deleteMessages(2, 4); c.damageChunk(chunk("2")) }, []string{"a1", "lost-2", "c1", "d1"}, 1, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newInstallation(t)
			c.replaceLog()
			c.archiveFour()
			c.saveCheckpoint("orders", 3)
			test.damage(c)
			for _, dry := range []bool{true, false} {
				r := c.repair(dry)
				if !r.HasFindings() || r.Damaged.Count != test.damaged || r.LostInBoth.Count != test.gone || r.ArchiveLost.Count != test.archived ||
					r.LogLost.Count+r.Superseded.Count > 0 || r.Diverged || r.Aside != "" {
					t.Errorf("repair with dry run %v: got %+v, want %d damaged, %d in no copy, %d lost in the archive", dry, r, test.damaged, test.gone, test.archived)
				}
			}
			c.checkCopies(test.want...)
			if l := c.lane("orders"); l.Position != 3 {
				t.Errorf("position of orders: got %d, want 3", l.Position)
			}
			c.archive(func() { c.adjust("e1", "A", "", 2) })
			c.checkCopies(append(slices.Clip(test.want), "e1")...)
			if kept := c.asideIDs(); len(kept) > 0 {
				t.Errorf("set aside: got %v, want nothing", kept)
			}
		})
	}
}

// A log that has gaps and has also lost its end, without or with new events, is restored too.
func TestRepairFillsGapsOfALogThatLostItsEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after func(c *installation)
		want  []string
		aside []string
	}{
		"Exact":    {func(*installation) {}, []string{"a1", "b1", "c1", "d1"}, nil},
		"Diverged": {func(c *installation) { c.adjust("c1'", "C", "", 9) }, []string{"a1", "b1", "c1'", "d1"}, []string{"c1", "d1"}},
		"DivergedAndDamagedLater": {func(c *installation) { c.adjust("c1'", "C", "", 9); c.adjust("x1", "X", "", 9); c.deleteMessages(4) },
			[]string{"a1", "b1", "c1'", "lost-4", "d1"}, []string{"c1", "d1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newInstallation(t)
			c.replaceLog()
			c.adjust("a1", "A", "", 1)
			c.adjust("b1", "B", "", 1)
			c.lose(func() {
				c.adjust("c1", "C", "", 1)
				c.adjust("d1", "D", "", 1)
			})
			test.after(c)
			c.deleteMessages(1)
			c.repair(false)
			c.checkCopies(test.want...)
			if got := c.asideIDs(); !slices.Equal(got, test.aside) {
				t.Errorf("set aside: got %v, want %v", got, test.aside)
			}
		})
	}
}

// Row 64 of the fault matrix: a repair without the database, or with an older one, writes placeholders. When the archive is back, its
// events return under their old sequences.
func TestRepairReplacesPlaceholderWhenTheArchiveIsBack(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.replaceLog()
	c.archiveFour()
	c.deleteMessages(3)
	collection := c.db.Collection(archive.Collection)
	cursor, err := collection.Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var kept []bson.M
	if err := cursor.All(t.Context(), &kept); err != nil {
		t.Fatal(err)
	}
	empty := func() {
		if _, err := collection.DeleteMany(t.Context(), bson.D{}); err != nil {
			t.Fatal(err)
		}
	}
	empty()
	c.repair(false)
	c.checkCopies("a1", "b1", "lost-3", "d1")
	empty()
	if _, err := collection.InsertMany(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	if r := c.repair(false); r.Damaged.Count != 1 || r.Diverged || r.Superseded.Count > 0 {
		t.Errorf("repair with the archive: got %+v, want 1 damaged", r)
	}
	c.checkCopies("a1", "b1", "c1", "d1")
	if aside := c.asideIDs(); len(aside) > 0 {
		t.Errorf("set aside: got %v, want nothing", aside)
	}
}

// The configuration that operators have set is kept, and a message keeps its headers.
func TestRewrittenLogKeepsConfigurationAndHeaders(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	config := eventlog.Streams(1)[0]
	config.DenyDelete, config.MaxBytes, config.Metadata = false, 1<<30, map[string]string{"owner": "ops"}
	if err := c.js.DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := c.js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	c.archiveFour()
	before, err := c.Get(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	c.deleteMessages(2)
	c.repair(false)
	after, err := c.Get(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{jetstream.TimeStampHeaer, jetstream.ExpectedLastSeqHeader} {
		before.Header.Del(name)
		after.Header.Del(name)
	}
	if diff := cmp.Diff(before.Header, after.Header); diff != "" || before.Subject != after.Subject || string(before.Data) != string(after.Data) {
		t.Errorf("message 2: -before +after:\n%s", diff)
	}
	stream, err := c.js.Stream(t.Context(), config.Name)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().Config; got.MaxBytes != config.MaxBytes || got.Metadata["owner"] != "ops" {
		t.Errorf("configuration: got %+v, want the limit and the metadata", got)
	}
}

// Row 64 of the fault matrix: a repair is interrupted at each step of writing the log again. No process starts on what it left, and the
// next repair completes it.
func TestInterruptedRewriteIsCompletedByNextRepair(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"restore archive", "check archive", "delete log", "create log", "rewrite log", "remove mark"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			c := newInstallation(t)
			c.replaceLog()
			c.archiveFour()
			c.saveCheckpoint("orders", 4)
			c.deleteMessages(2, 3)
			c.loseChunk("000000000003")
			c.loseChunk("000000000004")
			ctx, interrupt := context.WithCancel(t.Context())
			repair := replay.Repair{DB: c.db, Log: c.Reader, Progress: func(at string, _, _ uint64) {
				if at == stage {
					interrupt()
				}
			}}
			if _, err := repair.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("interrupted repair: got %v, want %v", err, context.Canceled)
			}
			conn := logtest.Connect(t, c.server)
			if err := replay.RecreateLog(t.Context(), conn, c.db); err != nil {
				t.Fatal(err)
			}
			begun := stage != "restore archive" && stage != "check archive"
			if err := archive.New(c.db).CheckHistory(t.Context(), c.log); errors.Is(err, eventlog.ErrTruncated) != begun {
				t.Errorf("check history: got %v, want truncated: %v", err, begun)
			}
			if r := c.repair(true); !r.HasFindings() || r.Interrupted != begun || len(r.LanesAhead) > 0 {
				t.Errorf("dry run: got %+v, want an interrupted repair: %v", r, begun)
			}
			c.repair(false)
			c.checkCopies("a1", "b1", "lost-3", "d1")
			if l := c.lane("orders"); l.Position != 4 {
				t.Errorf("position of orders: got %d, want 4", l.Position)
			}
			if err := archive.New(c.db).CheckHistory(t.Context(), c.log); err != nil {
				t.Errorf("check history after the repair: %v", err)
			}
		})
	}
}

// A repair neither deletes nor writes while a process of the shop runs.
func TestRewriteRefusesRunningProcess(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.replaceLog()
	c.archiveFour()
	c.deleteMessages(2)
	_, stop := c.watcher(nil)
	defer stop()
	await(t, func() bool { return c.lane("watcher").Holder != "" })
	if _, err := (replay.Repair{DB: c.db, Log: c.Reader}).Run(t.Context()); !errors.Is(err, replay.ErrRunning) {
		t.Errorf("repair: got %v, want %v", err, replay.ErrRunning)
	}
	if _, err := c.Get(t.Context(), 2); !errors.Is(err, replay.ErrNotFound) {
		t.Errorf("message 2: got %v, want %v", err, replay.ErrNotFound)
	}
}

// Two contents of one event are both kept: a repair does not choose between them.
func TestRepairDoesNotChooseBetweenContents(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.replaceLog()
	c.archiveFour()
	m, err := c.Get(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	other := archive.From(m)
	other.Text += " "
	if err := archive.New(c.db).Restore(t.Context(), []archive.Archived{other}); err != nil {
		t.Fatal(err)
	}
	if r := c.repair(true); r.Different.Count != 1 || r.Different.First[0].Sequence != 3 || !r.Unrepairable() {
		t.Errorf("dry run: got %+v, want 3 to be different", r)
	}
	c.deleteMessages(2)
	if _, err := (replay.Repair{DB: c.db, Log: c.Reader}).Run(t.Context()); !errors.Is(err, replay.ErrDifferent) {
		t.Errorf("repair: got %v, want %v", err, replay.ErrDifferent)
	}
	if got, err := c.Get(t.Context(), 3); err != nil || string(got.Data) != string(m.Data) {
		t.Errorf("message 3: got %q, %v; want it unchanged", got.Data, err)
	}
}

// Both copies have 4 and 5 at the same sequences, so 3' alone is new: it does not supersede their entities' other events.
func TestOnlyEventsThatTheArchiveLacksSupersedeOthers(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.replaceLog()
	var ids []func()
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		ids = append(ids, func() { c.adjust(id, "S"+id, "", 1) })
	}
	c.archive(ids...)
	foreign := archive.From(eventlog.Message{Sequence: 3, Subject: events.PrefixStock + "S3", Data: []byte("{}")})
	foreign.Headers.Set(events.HeaderID, "3 of the archive")
	if err := archive.New(c.db).Restore(t.Context(), []archive.Archived{foreign}); err != nil {
		t.Fatal(err)
	}
	if r := c.repair(true); r.Superseded.Count != 1 || r.Superseded.First[0].EventID != "3 of the archive" {
		t.Errorf("dry run: got %+v, want only 3 of the archive superseded", r)
	}
}
