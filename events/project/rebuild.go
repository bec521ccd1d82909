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
	"tillstream/events/log"
)

// Rebuild folds the log from its beginning, compares every document of a projection with it, and mends what differs. The
// shop goes on, and so does the projection:
//
//	note the checkpoint ─► read the live documents ─► fold the log ─► compare ─► write what differs
//
// A document is right when it is the fold up to its own sequence, and no event between that and the checkpoint concerns
// it: a projection that is behind has not drifted. What is written names the sequence of the document that it replaces, so
// where the projection was faster its document stays. Only documents that differ are written, one by one: readers find every
// document throughout. Killed at any moment, a rebuild leaves documents that are right or as they were, and two at once do
// each other no harm.
type Rebuild struct {
	Collections []string // default: all of the projection
	DB          *mongo.Database
	DryRun      bool // compare and write nothing
	Log         *log.Log
	Progress    func(stage string, done, total uint64) // default: not reported
	Projection  Projection

	atOnce uint64 // entities in memory; default entitiesAtOnce
	report RebuildReport
}

// RebuildReport is what a rebuild has found, and done.
type RebuildReport struct {
	Projection  string             `json:"projection"`
	Sequence    uint64             `json:"sequence"` // the checkpoint up to which documents must be current
	Collections []CollectionReport `json:"collections"`
	Written     bool               `json:"written"` // false for a dry run
	Seconds     float64            `json:"seconds"`
}

// CollectionReport is one collection of a [RebuildReport].
type CollectionReport struct {
	Name           string   `json:"name"`
	Documents      int      `json:"documents"` // as the log says
	Missing        int      `json:"missing"`
	Extra          int      `json:"extra"`
	Different      int      `json:"different"`
	Unreadable     int      `json:"unreadable"`      // entities that this program cannot read; their documents stay as they are
	MissingIndexes []string `json:"missing_indexes"` // by name
	Drifts         []Drift  `json:"drifts"`          // the first of them
}

// Drift is one document that is not what the log says.
type Drift struct {
	ID     string `json:"id"`
	Detail string `json:"detail"`
}

// Drifted is how many documents are not what the log says, and how many indexes are missing.
func (r RebuildReport) Drifted() (n int) {
	for _, c := range r.Collections {
		n += c.Missing + c.Extra + c.Different + len(c.MissingIndexes)
	}
	return n
}

// Run rebuilds. It returns [ErrNeverRan], [*log.GapError], [log.ErrUnavailable], [log.ErrTruncated], or what the database says.
func (r *Rebuild) Run(ctx context.Context) (RebuildReport, error) {
	if r.Progress == nil {
		r.Progress = func(string, uint64, uint64) {}
	}
	if err := r.choose(); err != nil {
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
	if err := r.missingIndexes(ctx); err != nil {
		return r.report, err
	}
	passes, err := r.passes(ctx)
	for pass := uint64(0); pass < passes && err == nil; pass++ {
		err = r.pass(ctx, pass, passes)
	}
	if !r.DryRun && err == nil {
		err = r.ensureIndexes(ctx)
	}
	r.report.Written, r.report.Seconds = !r.DryRun && err == nil, time.Since(start).Seconds()
	return r.report, err
}

// choose leaves only the wanted collections in the projection.
func (r *Rebuild) choose() error {
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

// missingIndexes notes which indexes are missing.
func (r *Rebuild) missingIndexes(ctx context.Context) error {
	for i, c := range r.Projection.Collections {
		missing, err := MissingIndexes(ctx, r.DB, c)
		if err != nil {
			return err
		}
		r.report.Collections[i].MissingIndexes = append(r.report.Collections[i].MissingIndexes, missing...)
	}
	return nil
}

// ensureIndexes makes the indexes that are missing, when the documents are right: a unique one cannot be made over documents
// that wrongly agree.
func (r *Rebuild) ensureIndexes(ctx context.Context) error {
	for _, c := range r.Projection.Collections {
		if err := EnsureIndexes(ctx, r.DB, c); err != nil {
			return err
		}
	}
	return nil
}

// passes is how often the log is read, so that the entities of one pass fit into memory.
func (r *Rebuild) passes(ctx context.Context) (uint64, error) {
	stream, err := r.Log.JetStream().Stream(ctx, events.StreamShop)
	if err != nil {
		return 0, fmt.Errorf("look at the log: %w", err)
	}
	return stream.CachedInfo().State.NumSubjects/cmp.Or(r.atOnce, entitiesAtOnce) + 1, nil
}

// progressEvery is after how many steps progress is reported.
const progressEvery = 1000

var errReadUpTo = errors.New("read up to the end")

// pass compares and mends the entities of one pass. The live documents are read before the log is: then the log holds every
// event that is in them.
func (r *Rebuild) pass(ctx context.Context, pass, passes uint64) error {
	live := make([]map[string]live, len(r.Projection.Collections))
	for i, c := range r.Projection.Collections {
		var err error
		if live[i], err = r.scan(ctx, c.Name, func(id string) bool { return passOf(id, passes) == pass }); err != nil {
			return err
		}
	}
	end, err := r.Log.End(ctx, r.report.Sequence)
	if err != nil {
		return err
	}
	if end < r.report.Sequence { // what it would write is older than what is there
		return fmt.Errorf("%w: it ends at %d, %s has come to %d", log.ErrTruncated, end, r.Projection.Name, r.report.Sequence)
	}
	c := newComparison(r.Projection.Collections, live, r.report.Sequence)
	done := pass * end
	err = r.Log.Follow(ctx, 1, func(m log.Message) error {
		if ref, ok := c.folder.entity(m.Subject); ok && passOf(ref.id, passes) == pass {
			if err := c.add(ref, m); err != nil {
				return err
			}
		}
		if done++; done%progressEvery == 0 {
			r.Progress("fold "+r.Projection.Name, done, passes*end)
		}
		if m.Sequence >= end {
			return errReadUpTo
		}
		return nil
	})
	if !errors.Is(err, errReadUpTo) {
		return err
	}
	return r.conclude(ctx, c)
}

// live is a document as it stands in the collection.
type live struct {
	id  bson.RawValue
	raw bson.RawValue // the value of seq
	seq uint64
	sum [16]byte // of its bytes
}

// scan reads the documents of one pass.
func (r *Rebuild) scan(ctx context.Context, collection string, mine func(id string) bool) (map[string]live, error) {
	found := map[string]live{}
	cursor, err := r.DB.Collection(collection).Find(ctx, bson.D{}, options.Find().SetBatchSize(1000))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", collection, err)
	}
	for cursor.Next(ctx) {
		if id := idOf(cursor.Current); mine(id) {
			found[id] = liveOf(cursor.Current)
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
