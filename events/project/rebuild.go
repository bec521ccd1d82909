package project

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// ErrNeverRan is returned by [Rebuild.Run] when the projection has no checkpoint on this broker.
var ErrNeverRan = errors.New("this projection has never run on this broker")

// Rebuild folds the log from its beginning, compares every document of a projection with the result, and repairs the differences.
// The shop and the projection keep running:
//
//	load the checkpoint ─► read the stored documents ─► fold the log ─► compare ─► write what differs
//
// A document is correct when it equals the fold up to its own sequence and its entity has no later event up to the checkpoint.
// A document that lags behind the log has not drifted. Each write names the sequence of the document that it replaces, so that
// a newer document of the projection stays. Only documents that differ are written, one at a time: readers always find
// every document. A rebuild that is killed leaves each document either repaired or unchanged, and several rebuilds can run at once.
type Rebuild struct {
	Collections []string // default: every collection of the projection
	DB          *mongo.Database
	DryRun      bool // compare, but write nothing
	Log         *eventlog.Log
	Progress    func(stage string, done, total uint64) // default: none
	Projection  Projection

	entitiesPerPass uint64 // default defaultEntitiesPerPass
	report          RebuildReport
}

// RebuildReport is the result of a rebuild.
type RebuildReport struct {
	Projection  string             `json:"projection"`
	Sequence    uint64             `json:"sequence"` // the checkpoint: documents must contain every event up to here
	Collections []CollectionReport `json:"collections"`
	Written     bool               `json:"written"` // false for a dry run
	Seconds     float64            `json:"seconds"`
}

// CollectionReport is one collection of a [RebuildReport].
type CollectionReport struct {
	Name           string   `json:"name"`
	Documents      int      `json:"documents"` // according to the log
	Missing        int      `json:"missing"`
	Extra          int      `json:"extra"`
	Different      int      `json:"different"`
	Unreadable     int      `json:"unreadable"`      // entities that this program cannot read; their documents are left unchanged
	MissingIndexes []string `json:"missing_indexes"` // names
	Drifts         []Drift  `json:"drifts"`          // the first ones
}

// Drift is one document that differs from the log.
type Drift struct {
	ID     string `json:"id"`
	Detail string `json:"detail"`
}

// Drifted returns the number of documents that differ from the log plus the number of missing indexes.
func (r RebuildReport) Drifted() (n int) {
	for _, c := range r.Collections {
		n += c.Missing + c.Extra + c.Different + len(c.MissingIndexes)
	}
	return n
}

// Run rebuilds the projection. It returns [ErrNeverRan], [*eventlog.GapError], [eventlog.ErrUnavailable],
// [eventlog.ErrTruncated] or an error of the database.
func (r *Rebuild) Run(ctx context.Context) (RebuildReport, error) {
	if r.Progress == nil {
		r.Progress = func(string, uint64, uint64) {}
	}
	if err := r.selectCollections(); err != nil {
		return RebuildReport{}, err
	}
	start := time.Now()
	checkpoint, err := r.Log.LoadCheckpoint(ctx, r.Projection.Name)
	if err != nil {
		return RebuildReport{}, err
	}
	if checkpoint.Position == 0 {
		return RebuildReport{}, fmt.Errorf("%w: %s", ErrNeverRan, r.Projection.Name)
	}
	r.report.Sequence = checkpoint.Position
	if err := r.reportMissingIndexes(ctx); err != nil {
		return r.report, err
	}
	passes, err := r.passes(ctx)
	for pass := uint64(0); pass < passes && err == nil; pass++ {
		err = r.runPass(ctx, pass, passes)
	}
	if !r.DryRun && err == nil { // after the documents: a unique index cannot be created while two of them have one key
		err = ensureAllIndexes(ctx, r.DB, r.Projection.Collections)
	}
	r.report.Written, r.report.Seconds = !r.DryRun && err == nil, time.Since(start).Seconds()
	return r.report, err
}

// selectCollections restricts the projection to the requested collections.
func (r *Rebuild) selectCollections() error {
	all := r.Projection.Collections
	if len(r.Collections) > 0 {
		r.Projection.Collections = nil
		for _, name := range r.Collections {
			i := slices.IndexFunc(all, func(c Collection) bool { return c.Name == name })
			if i < 0 {
				return fmt.Errorf("projection %s has no collection %q", r.Projection.Name, name)
			}
			r.Projection.Collections = append(r.Projection.Collections, all[i])
		}
	}
	r.report = RebuildReport{Projection: r.Projection.Name}
	for _, c := range r.Projection.Collections {
		r.report.Collections = append(r.report.Collections, CollectionReport{Name: c.Name, Drifts: []Drift{}, MissingIndexes: []string{}})
	}
	return nil
}

func (r *Rebuild) reportMissingIndexes(ctx context.Context) error {
	for i, c := range r.Projection.Collections {
		missing, err := MissingIndexes(ctx, r.DB, c)
		if err != nil {
			return err
		}
		r.report.Collections[i].MissingIndexes = append(r.report.Collections[i].MissingIndexes, missing...)
	}
	return nil
}

// defaultEntitiesPerPass bounds the memory of a rebuild.
const defaultEntitiesPerPass = 50_000

// passes returns how often the log must be read so that the entities of one pass fit into memory.
func (r *Rebuild) passes(ctx context.Context) (uint64, error) {
	stream, err := r.Log.JetStream().Stream(ctx, events.StreamShop)
	if err != nil {
		return 0, fmt.Errorf("read state of stream %s: %w", events.StreamShop, err)
	}
	return stream.CachedInfo().State.NumSubjects/cmp.Or(r.entitiesPerPass, defaultEntitiesPerPass) + 1, nil
}

// progressEvery is the number of steps between two reports of progress.
const progressEvery = 1000

var errPassEnd = errors.New("end of the pass")

// runPass compares and repairs the entities of one pass. It reads the stored documents before the log, so that the log contains
// every event that they contain.
func (r *Rebuild) runPass(ctx context.Context, pass, passes uint64) error {
	stored := make([]map[string]storedDocument, len(r.Projection.Collections))
	for i, c := range r.Projection.Collections {
		var err error
		if stored[i], err = r.readStored(ctx, c.Name, func(id string) bool { return passOf(id, passes) == pass }); err != nil {
			return err
		}
	}
	end, err := r.Log.End(ctx, r.report.Sequence)
	if err != nil {
		return err
	}
	if end < r.report.Sequence { // a rebuild would replace documents by older ones
		return fmt.Errorf("%w: it ends at %d, the checkpoint of %s is %d", eventlog.ErrTruncated, end, r.Projection.Name, r.report.Sequence)
	}
	c := newComparison(r.Projection.Collections, stored, r.report.Sequence)
	done := pass * end
	err = r.Log.Follow(ctx, 1, func(m eventlog.Message) error {
		if ref, ok := c.folder.entity(m.Subject); ok && passOf(ref.id, passes) == pass {
			if err := c.add(ref, m); err != nil {
				return err
			}
		}
		if done++; done%progressEvery == 0 {
			r.Progress("fold "+r.Projection.Name, done, passes*end)
		}
		if m.Sequence >= end {
			return errPassEnd
		}
		return nil
	})
	if !errors.Is(err, errPassEnd) {
		return err
	}
	return r.finishPass(ctx, c)
}

// readStored reads the documents of one pass.
func (r *Rebuild) readStored(ctx context.Context, collection string, inPass func(id string) bool) (map[string]storedDocument, error) {
	found := map[string]storedDocument{}
	cursor, err := r.DB.Collection(collection).Find(ctx, bson.D{}, options.Find().SetBatchSize(1000))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", collection, err)
	}
	for cursor.Next(ctx) {
		if id := idOf(cursor.Current); inPass(id) {
			found[id] = storedDocumentOf(cursor.Current)
		}
		if len(found)%progressEvery == 0 {
			r.Progress("read "+collection, uint64(len(found)), 0)
		}
	}
	if err := cursor.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", collection, err), cursor.Close(ctx))
	}
	return found, cursor.Close(ctx)
}

// finishPass reports the differences of a pass, and repairs them unless this is a dry run.
func (r *Rebuild) finishPass(ctx context.Context, c *comparison) error {
	wanted, unreadable := c.folder.documents()
	for i := range r.Projection.Collections {
		report := &r.report.Collections[i]
		d := c.differences(i, wanted[i], unreadable)
		for ref := range unreadable {
			if ref.collection == i {
				report.Unreadable++
			}
		}
		report.Documents += len(wanted[i])
		report.Different, report.Missing, report.Extra = report.Different+len(d.different), report.Missing+len(d.missing), report.Extra+len(d.extra)
		if err := r.describe(ctx, i, c, d, wanted[i]); err != nil {
			return err
		}
		if r.DryRun {
			continue
		}
		if err := r.repair(ctx, i, c, d, wanted[i]); err != nil {
			return err
		}
	}
	return nil
}

// maxDescribed is the largest number of drifts of each kind that are described.
const maxDescribed = 100

func (r *Rebuild) describe(ctx context.Context, i int, c *comparison, d differences, wanted map[string]Document) error {
	name, report := r.Projection.Collections[i].Name, &r.report.Collections[i]
	for _, id := range d.different[:min(len(d.different), maxDescribed)] {
		var found bson.Raw
		err := r.DB.Collection(name).FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&found)
		if errors.Is(err, mongo.ErrNoDocuments) {
			continue // deleted since it was read
		}
		if err != nil {
			return fmt.Errorf("read %s of %s: %w", id, name, err)
		}
		want, ok := c.corrections[entityRef{i, id}]
		if !ok {
			want = wanted[id]
		}
		raw, err := encode(want)
		if err != nil {
			return err
		}
		report.Drifts = append(report.Drifts, Drift{ID: id, Detail: explain(found, raw)})
	}
	for _, id := range d.missing[:min(len(d.missing), maxDescribed)] {
		report.Drifts = append(report.Drifts, Drift{ID: id, Detail: "is missing"})
	}
	for _, id := range d.extra[:min(len(d.extra), maxDescribed)] {
		report.Drifts = append(report.Drifts, Drift{ID: id, Detail: "the log has no such entity"})
	}
	return nil
}

// repair makes the stored documents equal to the log. A document that has changed since it was read stays: the projection has
// written it, and it is newer.
func (r *Rebuild) repair(ctx context.Context, i int, c *comparison, d differences, wanted map[string]Document) error {
	collection, w := r.DB.Collection(r.Projection.Collections[i].Name), newWriter(r.DB)
	done, total := 0, len(d.different)+len(d.missing)+len(d.extra)
	progress := func(n int) { done += n; r.Progress("write "+collection.Name(), uint64(done), uint64(total)) }
	for _, id := range d.extra {
		filter, err := w.unchanged(ctx, collection.Name(), c.stored[i][id])
		if err == nil && filter != nil {
			_, err = collection.DeleteOne(ctx, filter)
		}
		if err != nil {
			return fmt.Errorf("delete %s from %s: %w", id, collection.Name(), err)
		}
		progress(1)
	}
	for _, id := range d.different {
		filter, err := w.unchanged(ctx, collection.Name(), c.stored[i][id])
		if err == nil && filter != nil {
			_, err = collection.ReplaceOne(ctx, filter, wanted[id])
		}
		if err != nil {
			return fmt.Errorf("replace %s in %s: %w", id, collection.Name(), err)
		}
		progress(1)
	}
	for ids := range slices.Chunk(d.missing, insertChunk) {
		missing := make([]Document, len(ids))
		for j, id := range ids {
			missing[j] = wanted[id]
		}
		if err := w.upsert(ctx, collection.Name(), missing); err != nil {
			return err
		}
		progress(len(ids))
	}
	return nil
}
