package project

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/log"
)

// liveOf reads a document leniently: one whose sequence is no number is found by its bytes.
func liveOf(raw bson.Raw) live {
	sum := sha256.Sum256(raw)
	return live{id: clone(raw.Lookup("_id")), raw: clone(raw.Lookup("seq")), seq: seqOf(raw), sum: [16]byte(sum[:16])}
}

// seqOf returns the sequence in a document, 0 when there is none or it is no number.
func seqOf(raw bson.Raw) uint64 {
	number, _ := raw.Lookup("seq").AsInt64OK()
	return uint64(max(number, 0))
}

func clone(v bson.RawValue) bson.RawValue {
	v.Value = slices.Clone(v.Value)
	return v
}

// idOf returns the id of a document; one that is no text is shown as it is written in JSON, and found to be no entity's.
func idOf(raw bson.Raw) string {
	if id, ok := raw.Lookup("_id").StringValueOK(); ok {
		return id
	}
	return raw.Lookup("_id").String()
}

// comparison folds the entities of one pass and compares each with its live document on the way: when the fold is at the
// document's sequence.
type comparison struct {
	folder     *folder
	live       []map[string]live
	checkpoint uint64

	due   map[entityRef]uint64   // the last event of each entity up to the checkpoint
	equal map[entityRef]bool     // its document is the fold up to the document's sequence
	as    map[entityRef]Document // what its document should be, where it is not
}

func newComparison(collections []Collection, live []map[string]live, checkpoint uint64) *comparison {
	return &comparison{folder: newFolder(collections), live: live, checkpoint: checkpoint,
		due: map[entityRef]uint64{}, equal: map[entityRef]bool{}, as: map[entityRef]Document{}}
}

// add folds one message.
func (c *comparison) add(ref entityRef, m log.Message) error {
	c.folder.add(ref, m)
	e := c.folder.entities[ref]
	if e.err != nil || e.seq != m.Sequence {
		return nil //nolint:nilerr // what cannot be read is reported when all is folded
	}
	if m.Sequence <= c.checkpoint {
		c.due[ref] = m.Sequence
	}
	have, ok := c.live[ref.collection][ref.id]
	if !ok || have.seq != m.Sequence {
		return nil
	}
	want := Document{ID: ref.id, Seq: m.Sequence, Doc: c.folder.collections[ref.collection].render(ref.id, e.state)}
	sum, err := sumOf(want)
	if err != nil {
		return err
	}
	if c.equal[ref] = sum == have.sum; !c.equal[ref] {
		c.as[ref] = want
	}
	return nil
}

func sumOf(d Document) ([16]byte, error) {
	raw, err := encode(d)
	if err != nil {
		return [16]byte{}, err
	}
	sum := sha256.Sum256(raw)
	return [16]byte(sum[:16]), nil
}

// difference is what is wrong with the live documents of one collection.
type difference struct {
	different, missing, extra []string
}

// differ finds what is wrong with a collection.
func (c *comparison) differ(i int, wanted map[string]Document, unreadable map[entityRef]error) (d difference) {
	for id := range wanted {
		ref := entityRef{i, id}
		switch have, ok := c.live[i][id]; {
		case !ok && c.due[ref] > 0:
			d.missing = append(d.missing, id)
		case ok && (!c.equal[ref] || have.seq < c.due[ref]):
			d.different = append(d.different, id)
		}
	}
	for id := range c.live[i] {
		_, known := wanted[id]
		if _, ok := unreadable[entityRef{i, id}]; !known && !ok {
			d.extra = append(d.extra, id)
		}
	}
	for _, ids := range [][]string{d.different, d.missing, d.extra} {
		slices.SortFunc(ids, cmp.Compare[string])
	}
	return d
}

// conclude reports what a pass has found, and mends it unless this is a dry run.
func (r *Rebuild) conclude(ctx context.Context, c *comparison) error {
	wanted, unreadable := c.folder.documents()
	for i := range r.Projection.Collections {
		report := &r.report.Collections[i]
		d := c.differ(i, wanted[i], unreadable)
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
		if err := r.mend(ctx, i, c, d, wanted[i]); err != nil {
			return err
		}
	}
	return nil
}

// describedAtMost is how many drifts are described, of each sort.
const describedAtMost = 100

func (r *Rebuild) describe(ctx context.Context, i int, c *comparison, d difference, wanted map[string]Document) error {
	name, report := r.Projection.Collections[i].Name, &r.report.Collections[i]
	for _, id := range d.different[:min(len(d.different), describedAtMost)] {
		var found bson.Raw
		err := r.DB.Collection(name).FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&found)
		if errors.Is(err, mongo.ErrNoDocuments) {
			continue // gone meanwhile
		}
		if err != nil {
			return fmt.Errorf("read %s of %s: %w", id, name, err)
		}
		want, ok := c.as[entityRef{i, id}]
		if !ok {
			want = wanted[id]
		}
		raw, err := encode(want)
		if err != nil {
			return err
		}
		report.Drifts = append(report.Drifts, Drift{ID: id, Detail: explain(found, raw)})
	}
	for _, id := range d.missing[:min(len(d.missing), describedAtMost)] {
		report.Drifts = append(report.Drifts, Drift{ID: id, Detail: "is missing"})
	}
	for _, id := range d.extra[:min(len(d.extra), describedAtMost)] {
		report.Drifts = append(report.Drifts, Drift{ID: id, Detail: "the log knows of no such entity"})
	}
	return nil
}

// mend makes the live documents what the log says. A document that has changed since it was read is the projection's, and
// newer.
func (r *Rebuild) mend(ctx context.Context, i int, c *comparison, d difference, wanted map[string]Document) error {
	collection, w := r.DB.Collection(r.Projection.Collections[i].Name), newWriter(r.DB)
	done, total := 0, len(d.different)+len(d.missing)+len(d.extra)
	tell := func(n int) { done += n; r.Progress("write "+collection.Name(), uint64(done), uint64(total)) }
	for _, id := range d.extra {
		filter, err := w.asWas(ctx, collection.Name(), c.live[i][id])
		if err == nil && filter != nil {
			_, err = collection.DeleteOne(ctx, filter)
		}
		if err != nil {
			return fmt.Errorf("delete %s from %s: %w", id, collection.Name(), err)
		}
		tell(1)
	}
	for _, id := range d.different {
		filter, err := w.asWas(ctx, collection.Name(), c.live[i][id])
		if err == nil && filter != nil {
			_, err = collection.ReplaceOne(ctx, filter, wanted[id])
		}
		if err != nil {
			return fmt.Errorf("replace %s in %s: %w", id, collection.Name(), err)
		}
		tell(1)
	}
	for ids := range slices.Chunk(d.missing, insertChunk) {
		missing := make([]Document, len(ids))
		for j, id := range ids {
			missing[j] = wanted[id]
		}
		if err := w.upsert(ctx, collection.Name(), missing); err != nil {
			return err
		}
		tell(len(ids))
	}
	return nil
}
