package view

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// print tells a document from another one without keeping it.
type print struct {
	seq uint64
	sum [16]byte // of its bytes
}

// printOf reads the sequence leniently: whoever wrote something else there is found by the sum.
func printOf(raw bson.Raw) print {
	sum := sha256.Sum256(raw)
	seq, _ := raw.Lookup("seq").AsInt64OK()
	return print{seq: uint64(max(seq, 0)), sum: [16]byte(sum[:16])}
}

// idOf returns the id of a document; one that is no text is shown as it is written in JSON, and found to be no entity's.
func idOf(raw bson.Raw) string {
	if id, ok := raw.Lookup("_id").StringValueOK(); ok {
		return id
	}
	return raw.Lookup("_id").String()
}

// scan reads a collection, in whatever order it comes.
func (r *Rebuild) scan(ctx context.Context, collection string) (map[string]print, error) {
	found := map[string]print{}
	err := r.eachDocument(ctx, collection, func(raw bson.Raw) error {
		found[idOf(raw)] = printOf(raw)
		if len(found)%progressEvery == 0 {
			r.Progress("read "+collection, uint64(len(found)), 0)
		}
		return nil
	})
	return found, err
}

func (r *Rebuild) eachDocument(ctx context.Context, collection string, fn func(bson.Raw) error) error {
	cursor, err := r.DB.Collection(collection).Find(ctx, bson.D{}, options.Find().SetBatchSize(1000))
	if err != nil {
		return fmt.Errorf("read %s: %w", collection, err)
	}
	for cursor.Next(ctx) {
		if err := fn(cursor.Current); err != nil {
			return errors.Join(err, cursor.Close(ctx))
		}
	}
	if err := cursor.Err(); err != nil {
		return errors.Join(fmt.Errorf("read %s: %w", collection, err), cursor.Close(ctx))
	}
	return cursor.Close(ctx)
}

// difference is what is wrong with the live documents of one collection.
type difference struct {
	different, missing, extra map[string]bool
}

// compare finds what is wrong with a live collection, and mends it unless this is a dry run.
func (r *Rebuild) compare(ctx context.Context, i int, live map[string]print) error {
	name, report := r.View.Collections[i].Name, &r.report.Collections[i]
	side, err := r.scan(ctx, name+sideSuffix)
	if err != nil {
		return err
	}
	unreadable := map[string]bool{}
	for ref := range r.unread {
		if ref.collection == i {
			unreadable[ref.id] = true
		}
	}
	d := differ(side, live, unreadable)
	report.Documents, report.Unreadable = len(side), len(unreadable)
	report.Different, report.Missing, report.Extra = len(d.different), len(d.missing), len(d.extra)
	if err := r.describe(ctx, name, d, report); err != nil {
		return err
	}
	if r.DryRun {
		return nil
	}
	return r.swap(ctx, name, d)
}

func differ(side, live map[string]print, unreadable map[string]bool) difference {
	d := difference{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for id, want := range side {
		switch have, ok := live[id]; {
		case unreadable[id]:
		case !ok:
			d.missing[id] = true
		case have != want:
			d.different[id] = true
		}
	}
	for id := range live {
		if _, ok := side[id]; !ok && !unreadable[id] {
			d.extra[id] = true
		}
	}
	return d
}

// describedAtMost is how many drifts are described, of each sort.
const describedAtMost = 100

func (r *Rebuild) describe(ctx context.Context, name string, d difference, report *CollectionReport) error {
	for _, id := range firstOf(d.different) {
		var live, side bson.Raw
		for to, collection := range map[*bson.Raw]string{&live: name, &side: name + sideSuffix} {
			if err := r.DB.Collection(collection).FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(to); err != nil {
				return fmt.Errorf("read %s of %s: %w", id, collection, err)
			}
		}
		report.Drifts = append(report.Drifts, Drift{ID: id, Detail: explain(live, side)})
	}
	for _, id := range firstOf(d.missing) {
		report.Drifts = append(report.Drifts, Drift{ID: id, Detail: "is missing"})
	}
	for _, id := range firstOf(d.extra) {
		report.Drifts = append(report.Drifts, Drift{ID: id, Detail: "the log knows of no such entity"})
	}
	return nil
}

func firstOf(ids map[string]bool) []string {
	sorted := make([]string, 0, len(ids))
	for id := range ids {
		sorted = append(sorted, id)
	}
	slices.SortFunc(sorted, cmp.Compare[string])
	return sorted[:min(len(sorted), describedAtMost)]
}

// swap makes the live collection what the side collection is.
func (r *Rebuild) swap(ctx context.Context, name string, d difference) error {
	done, total := 0, len(d.different)+len(d.missing)+len(d.extra)
	tell := func(n int) { done += n; r.Progress("write "+name, uint64(done), uint64(total)) }
	var replace, insert []Document
	write := func(all bool) error {
		if len(insert) >= insertChunk || all {
			if err := r.writer.upsert(ctx, name, insert); err != nil {
				return err
			}
			tell(len(insert))
			insert = nil
		}
		if len(replace) >= replaceChunk || all {
			if err := r.writer.replace(ctx, name, replace); err != nil {
				return err
			}
			tell(len(replace))
			replace = nil
		}
		return nil
	}
	if len(d.different)+len(d.missing) > 0 {
		err := r.eachDocument(ctx, name+sideSuffix, func(raw bson.Raw) error {
			id := idOf(raw)
			document := Document{ID: id, Seq: printOf(raw).seq, Doc: slices.Clone(raw.Lookup("doc").Document())}
			switch {
			case d.different[id]:
				replace = append(replace, document)
			case d.missing[id]:
				insert = append(insert, document)
			}
			return write(false)
		})
		if err := errors.Join(err, write(err == nil)); err != nil {
			return err
		}
	}
	for id := range d.extra {
		if err := deleteDocument(ctx, r.DB.Collection(name), id); err != nil {
			return err
		}
		tell(1)
	}
	return nil
}

func deleteDocument(ctx context.Context, collection *mongo.Collection, id string) error {
	result, err := collection.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
	if err == nil && result.DeletedCount == 0 {
		err = errors.New("no document has this text as its id; delete it by hand")
	}
	if err != nil {
		return fmt.Errorf("delete %s from %s: %w", id, collection.Name(), err)
	}
	return nil
}
