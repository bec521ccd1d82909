package project

import (
	"context"
	"errors"
	"fmt"
	"slices"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Operations per command. FerretDB v1 holds one connection to SQLite per replacement until the command ends, and deadlocks with a
// hundred of them.
const (
	insertChunk  = 500
	replaceChunk = 20
)

// codeDuplicateKey is an error code of MongoDB (mongo/src/mongo/base/error_codes.yml).
const codeDuplicateKey = 11000

// writer writes documents. It caches the sequences of the documents that it has written: on FerretDB an insert costs a twentieth of a
// replacement, and most documents are written once. It is not safe for concurrent use.
type writer struct {
	db     *mongo.Database
	known  *lru.Cache[string, uint64] // "collection/id" → the sequence that this writer wrote
	ferret *bool                      // whether the server is FerretDB; nil until it is known
}

// maxKnown bounds the memory of the writer. A document that is no longer cached costs one refused insert.
const maxKnown = 20_000

func newWriter(db *mongo.Database) *writer {
	known, err := lru.New[string, uint64](maxKnown)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &writer{db: db, known: known}
}

// forget empties the cache. A lane calls it when another process may have written in the meantime.
func (w *writer) forget() { w.known.Purge() }

// upsert writes documents that may exist already, in an older or a newer state.
func (w *writer) upsert(ctx context.Context, collection string, documents []Document) error {
	var fresh, known []Document
	for _, d := range documents {
		seq, ok := w.known.Get(collection + "/" + d.ID)
		switch {
		case !ok:
			fresh = append(fresh, d)
		case seq < d.Seq:
			known = append(known, d)
		}
	}
	var existing, newer []Document
	for chunk := range slices.Chunk(fresh, insertChunk) {
		refused, err := w.insert(ctx, collection, chunk)
		if err != nil {
			return err
		}
		existing = append(existing, refused...)
	}
	for i, documents := range [][]Document{known, existing} { // known ones first: they may release a unique key that an existing one takes
		for chunk := range slices.Chunk(documents, replaceChunk) {
			found, err := w.replace(ctx, collection, chunk, i == 0)
			if err != nil {
				return err
			}
			newer = append(newer, found...)
		}
	}
	for _, d := range slices.Concat(fresh, known) {
		w.known.Add(collection+"/"+d.ID, d.Seq)
	}
	for _, d := range newer {
		w.known.Remove(collection + "/" + d.ID)
	}
	return nil
}

// insert returns the documents that were refused because a document with the same id or unique key exists.
func (w *writer) insert(ctx context.Context, collection string, documents []Document) (existing []Document, err error) {
	_, err = w.db.Collection(collection).InsertMany(ctx, documents, options.InsertMany().SetOrdered(false))
	if err == nil {
		return nil, nil
	}
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return nil, fmt.Errorf("insert into %s: %w", collection, err)
	}
	for _, e := range bulk.WriteErrors {
		if e.Code != codeDuplicateKey {
			return nil, fmt.Errorf("insert into %s: %w", collection, err)
		}
		existing = append(existing, documents[e.Index])
	}
	return existing, nil
}

// replace writes the new state over an older document, and inserts it where none exists. It leaves newer documents unchanged and
// returns them.
//
// MongoDB compares and replaces atomically. One upsert with that filter would handle every case, but it reports a duplicate key
// where the stored document is newer, and FerretDB v1.24.2 then aborts the whole command. FerretDB on SQLite also reads the whole
// collection for every filter except {_id: x}, and its comparison is not atomic either. Because FerretDB serves one process, a
// document that this writer wrote last is known to be older; reading it first would double the cost.
func (w *writer) replace(ctx context.Context, collection string, documents []Document, known bool) (newer []Document, err error) {
	ferret, err := w.isFerret(ctx)
	if err != nil {
		return nil, err
	}
	replaceAll := w.replaceOlder
	if ferret {
		replaceAll = w.replaceByID
	}
	if known || !ferret {
		if n, err := replaceAll(ctx, collection, documents); err != nil || n == len(documents) {
			return nil, err
		}
	}
	older, absent, newer, err := w.compare(ctx, collection, documents)
	if err != nil {
		return nil, err
	}
	if _, err := replaceAll(ctx, collection, older); err != nil || len(absent) == 0 {
		return newer, err
	}
	existing, err := w.insert(ctx, collection, absent)
	if err == nil && len(existing) > 0 { // a unique index refuses it, or it was inserted since: the lane retries
		err = fmt.Errorf("insert %s into %s: a unique key is taken", existing[0].ID, collection)
	}
	return newer, err
}

// compare sorts documents by whether the stored one is older, absent or newer. It omits those with the same sequence.
func (w *writer) compare(ctx context.Context, collection string, documents []Document) (older, absent, newer []Document, err error) {
	for _, d := range documents {
		var found bson.Raw
		err := w.db.Collection(collection).FindOne(ctx, bson.D{{Key: "_id", Value: d.ID}}).Decode(&found)
		switch seq := seqOf(found); {
		case errors.Is(err, mongo.ErrNoDocuments):
			absent = append(absent, d)
		case err != nil:
			return nil, nil, nil, fmt.Errorf("read %s of %s: %w", d.ID, collection, err)
		case seq < d.Seq:
			older = append(older, d)
		case seq > d.Seq:
			newer = append(newer, d)
		}
	}
	return older, absent, newer, nil
}

// replaceOlder replaces the documents whose stored version is older, and returns their number.
func (w *writer) replaceOlder(ctx context.Context, collection string, documents []Document) (int, error) {
	return w.replaceWhere(ctx, collection, documents, func(d Document) bson.D {
		return bson.D{{Key: "_id", Value: d.ID}, {Key: "seq", Value: bson.D{{Key: "$lt", Value: d.Seq}}}}
	})
}

// replaceByID replaces documents without a comparison with the stored versions.
func (w *writer) replaceByID(ctx context.Context, collection string, documents []Document) (int, error) {
	return w.replaceWhere(ctx, collection, documents, func(d Document) bson.D { return bson.D{{Key: "_id", Value: d.ID}} })
}

func (w *writer) replaceWhere(ctx context.Context, collection string, documents []Document, filter func(Document) bson.D) (int, error) {
	if len(documents) == 0 {
		return 0, nil
	}
	models := make([]mongo.WriteModel, len(documents))
	for i, d := range documents {
		models[i] = mongo.NewReplaceOneModel().SetFilter(filter(d)).SetReplacement(d)
	}
	result, err := w.db.Collection(collection).BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	if err != nil {
		return 0, fmt.Errorf("replace in %s: %w", collection, err)
	}
	return int(result.MatchedCount), nil
}

// unchanged returns a filter that matches a document only in the version that was read, or nil when the document has changed
// already. For FerretDB the filter is the id alone; see [writer.replace].
func (w *writer) unchanged(ctx context.Context, collection string, d storedDocument) (bson.D, error) {
	byID := bson.D{{Key: "_id", Value: d.id}}
	ferret, err := w.isFerret(ctx)
	if err != nil {
		return nil, err
	}
	if !ferret && d.raw.Type != 0 {
		return append(byID, bson.E{Key: "seq", Value: d.raw}), nil
	}
	var found bson.Raw
	err = w.db.Collection(collection).FindOne(ctx, byID).Decode(&found)
	if errors.Is(err, mongo.ErrNoDocuments) || err == nil && !found.Lookup("seq").Equal(d.raw) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", d.id, collection, err)
	}
	return byID, nil
}

func (w *writer) isFerret(ctx context.Context) (bool, error) {
	if w.ferret == nil {
		ferret, err := isFerret(ctx, w.db)
		if err != nil {
			return false, err
		}
		w.ferret = &ferret
	}
	return *w.ferret, nil
}
