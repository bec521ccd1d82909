package view

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// sideSuffix is added to a collection's name for the one that a rebuild folds into.
const sideSuffix = "_rebuild"

// Rebuild folds a view from the beginning of its stream into side collections, compares these with the live ones, and
// mends what differs. The shop goes on, and so does the view until the comparison:
//
//	fold up to where the view is ─► hold the view ─► fold the rest ─► compare byte by byte ─► swap ─► let the view go on
//
// A view may have written an entity in a newer state than the event that it was at, so each document is compared with the
// fold up to its own sequence where that is beyond what the view has acknowledged. Only documents that differ are
// written, one by one: readers find every document throughout. Killed at any moment it leaves documents that are right or
// as they were, a side collection that the next one throws away, and a view that goes on within a minute.
type Rebuild struct {
	Collections []string // default: all of the view
	DB          *mongo.Database
	DryRun      bool // compare and do not swap
	JS          jetstream.JetStream
	Progress    func(stage string, done, total uint64) // default: nobody is told
	View        View

	claim  *claim
	folder *folder
	writer *writer
	report RebuildReport
	unread map[entityRef]error
}

// RebuildReport is what a rebuild has found, and done.
type RebuildReport struct {
	View        string             `json:"view"`
	Sequence    uint64             `json:"sequence"` // up to which live and fold were compared
	Collections []CollectionReport `json:"collections"`
	Swapped     bool               `json:"swapped"` // false for a dry run
	Seconds     float64            `json:"seconds"`
	HeldSeconds float64            `json:"held_seconds"` // how long the view rested
}

// CollectionReport is one collection of a [RebuildReport].
type CollectionReport struct {
	Name       string  `json:"name"`
	Documents  int     `json:"documents"` // as the log says
	Missing    int     `json:"missing"`
	Extra      int     `json:"extra"`
	Different  int     `json:"different"`
	Unreadable int     `json:"unreadable"` // entities that this program cannot read; their documents stay as they are
	Drifts     []Drift `json:"drifts"`     // the first of them
}

// Drift is one document that is not what the log says.
type Drift struct {
	ID     string `json:"id"`
	Detail string `json:"detail"`
}

// Drifted is how many documents are not what the log says.
func (r RebuildReport) Drifted() (n int) {
	for _, c := range r.Collections {
		n += c.Missing + c.Extra + c.Different
	}
	return n
}

// Run rebuilds. It returns [ErrNeverRan], [ErrRebuilding] or [ErrMoved].
func (r *Rebuild) Run(ctx context.Context) (_ RebuildReport, err error) {
	if r.Progress == nil {
		r.Progress = func(string, uint64, uint64) {}
	}
	if err := r.choose(); err != nil {
		return RebuildReport{}, err
	}
	start := time.Now()
	info, err := consumerInfo(ctx, r.JS, r.View)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return RebuildReport{}, fmt.Errorf("%w: %s", ErrNeverRan, r.View.Name)
	}
	if err != nil {
		return RebuildReport{}, err
	}
	if r.claim, err = takeClaim(ctx, r.JS, r.View); err != nil {
		return RebuildReport{}, err
	}
	defer func() {
		if released := r.claim.release(context.WithoutCancel(ctx), r.JS); !errors.Is(err, ErrRebuilding) {
			err = errors.Join(err, released)
		}
	}()
	err = r.fold(ctx, info.AckFloor.Stream)
	r.report.Seconds = time.Since(start).Seconds()
	return r.report, err
}

// fold does what only one rebuild may do at a time.
func (r *Rebuild) fold(ctx context.Context, begun uint64) error {
	if err := r.dropSides(ctx); err != nil {
		return err
	}
	if err := r.foldAll(ctx, begun); err != nil {
		return err
	}
	if err := r.held(ctx, begun); err != nil {
		return err
	}
	return r.dropSides(ctx)
}

// choose leaves only the wanted collections in the view.
func (r *Rebuild) choose() error {
	all := r.View.Collections
	if len(r.Collections) > 0 {
		r.View.Collections = nil
		for _, name := range r.Collections {
			i := indexOf(all, name)
			if i < 0 {
				return fmt.Errorf("view %s has no collection %q", r.View.Name, name)
			}
			r.View.Collections = append(r.View.Collections, all[i])
		}
	}
	r.folder, r.writer, r.unread = newFolder(r.View.Collections), newWriter(r.DB), map[entityRef]error{}
	r.report = RebuildReport{View: r.View.Name}
	for _, c := range r.View.Collections {
		r.report.Collections = append(r.report.Collections, CollectionReport{Name: c.Name, Drifts: []Drift{}})
	}
	return nil
}

func indexOf(collections []Collection, name string) int {
	for i, c := range collections {
		if c.Name == name {
			return i
		}
	}
	return -1
}

func (r *Rebuild) dropSides(ctx context.Context) error {
	for _, c := range r.View.Collections {
		if err := r.DB.Collection(c.Name + sideSuffix).Drop(ctx); err != nil {
			return fmt.Errorf("drop %s: %w", c.Name+sideSuffix, err)
		}
	}
	return nil
}

// foldAll folds the stream up to a sequence into the side collections, in as many passes as memory wants.
func (r *Rebuild) foldAll(ctx context.Context, to uint64) error {
	stream, err := r.JS.Stream(ctx, r.View.Stream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", r.View.Stream, err)
	}
	passes := stream.CachedInfo().State.NumSubjects/entitiesAtOnce + 1
	for pass := range passes {
		f, done := newFolder(r.View.Collections), pass*to
		err := each(ctx, r.JS, r.View.Stream, 1, to, func(m *jetstream.RawStreamMsg) error {
			if ref, ok := f.entity(m.Subject); ok && passOf(ref.id, passes) == pass {
				f.add(ref, m)
			}
			if done++; done%progressEvery == 0 {
				r.Progress("fold "+r.View.Name, done, passes*to)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := r.keep(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// progressEvery is after how many steps somebody is told.
const progressEvery = 1000

// keep writes what was folded into the side collections.
func (r *Rebuild) keep(ctx context.Context, f *folder) error {
	documents, unreadable := f.documents()
	for ref, err := range unreadable {
		r.unread[ref] = err
	}
	for i, c := range r.View.Collections {
		if err := r.writer.upsert(ctx, c.Name+sideSuffix, documents[i]); err != nil {
			return err
		}
	}
	return nil
}

// held does what needs the view at rest.
func (r *Rebuild) held(ctx context.Context, begun uint64) (err error) {
	start := time.Now()
	h, err := takeHold(ctx, r.JS, r.View)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, h.release(context.WithoutCancel(ctx)))
		r.report.HeldSeconds = time.Since(start).Seconds()
	}()
	r.report.Sequence = h.done
	live := make([]map[string]print, len(r.View.Collections))
	for i, c := range r.View.Collections {
		if live[i], err = r.scan(ctx, c.Name); err != nil {
			return err
		}
	}
	if err := r.catchUp(ctx, begun, h.done, live); err != nil {
		return err
	}
	if err := r.claim.check(ctx); err != nil {
		return err
	}
	for i := range r.View.Collections {
		if err := r.compare(ctx, i, live[i]); err != nil {
			return err
		}
	}
	r.report.Swapped = !r.DryRun
	return nil
}

// catchUp folds again, up to date, the entities of which something was said since the fold, and those that the view has
// written in a state beyond what it has acknowledged.
func (r *Rebuild) catchUp(ctx context.Context, begun, done uint64, live []map[string]print) error {
	wanted := map[entityRef]uint64{}
	err := each(ctx, r.JS, r.View.Stream, begun+1, done, func(m *jetstream.RawStreamMsg) error {
		if ref, ok := r.folder.entity(m.Subject); ok {
			wanted[ref] = m.Sequence
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, documents := range live {
		for id, p := range documents {
			if p.seq > done {
				wanted[entityRef{i, id}] = p.seq
			}
		}
	}
	for ref := range wanted {
		delete(r.unread, ref)
	}
	r.Progress("fold what is new in "+r.View.Name, 0, uint64(len(wanted)))
	if err := foldAt(ctx, r.JS, r.View.Stream, r.folder, wanted); err != nil {
		return err
	}
	return r.keep(ctx, r.folder)
}
