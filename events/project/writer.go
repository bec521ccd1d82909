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

// Limits of one command. Inserts go by the hundred; replacements by twenty, because FerretDB v1 keeps a connection to
// SQLite per operation until the command ends and locks itself out with a hundred.
const (
	insertChunk  = 500
	replaceChunk = 20
)

// codeDuplicateKey is an error code of MongoDB (mongo/src/mongo/base/error_codes.yml).
const codeDuplicateKey = 11000

// writer writes documents. It remembers which ones there are, because inserting is about twenty times cheaper than replacing
// on FerretDB, and most documents are written once. It is not safe for concurrent use.
type writer struct {
	db     *mongo.Database
	known  *lru.Cache[string, uint64] // "collection/id" → the sequence that this writer wrote
	ferret *bool                      // the database is a FerretDB; nil: not asked yet
}

// knownDocuments bounds the memory of the writer. Forgetting costs one refused insert.
const knownDocuments = 20_000

func newWriter(db *mongo.Database) *writer {
	known, err := lru.New[string, uint64](knownDocuments)
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	return &writer{db: db, known: known}
}

// forget is called when another process may have written meanwhile.
func (w *writer) forget() { w.known.Purge() }

// upsert writes documents that may be there already, in an older or a newer state.
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
	var unknown, newer []Document // that exist
	for chunk := range slices.Chunk(fresh, insertChunk) {
		existing, err := w.insert(ctx, collection, chunk)
		if err != nil {
			return err
		}
		unknown = append(unknown, existing...)
	}
	for i, documents := range [][]Document{known, unknown} { // first those that may give up a unique key
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

// insert returns the documents that were refused because another one is in their place.
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

// replace puts the new state where the document is older, and where there is none. Documents that are newer stay, and are
// returned.
//
// MongoDB compares as it writes. An upsert with that filter would do for all cases, but where the document is newer it meets
// a duplicate key, and FerretDB v1.24.2 ends the whole command there. FerretDB on SQLite also reads the whole collection for
// any filter but {_id: x}, and compares no more atomically than is done here. It serves one process, so that a document
// which this writer wrote last is known to be older; to read it first would double what replacing costs.
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
	older, gone, newer, err := w.compare(ctx, collection, documents)
	if err != nil {
		return nil, err
	}
	if _, err := replaceAll(ctx, collection, older); err != nil || len(gone) == 0 {
		return newer, err
	}
	existing, err := w.insert(ctx, collection, gone)
	if err == nil && len(existing) > 0 { // there by now, or a unique index refuses it: the next try tells
		err = fmt.Errorf("insert %s into %s: a unique key is taken", existing[0].ID, collection)
	}
	return newer, err
}

// compare finds which documents are older in the database, not there, or newer. Those that are the same are none of these.
func (w *writer) compare(ctx context.Context, collection string, documents []Document) (older, gone, newer []Document, err error) {
	for _, d := range documents {
		var found bson.Raw
		err := w.db.Collection(collection).FindOne(ctx, bson.D{{Key: "_id", Value: d.ID}}).Decode(&found)
		switch seq := seqOf(found); {
		case errors.Is(err, mongo.ErrNoDocuments):
			gone = append(gone, d)
		case err != nil:
			return nil, nil, nil, fmt.Errorf("read %s of %s: %w", d.ID, collection, err)
		case seq < d.Seq:
			older = append(older, d)
		case seq > d.Seq:
			newer = append(newer, d)
		}
	}
	return older, gone, newer, nil
}

// replaceOlder replaces documents that are older, and returns how many were.
func (w *writer) replaceOlder(ctx context.Context, collection string, documents []Document) (int, error) {
	return w.replaceWhere(ctx, collection, documents, func(d Document) bson.D {
		return bson.D{{Key: "_id", Value: d.ID}, {Key: "seq", Value: bson.D{{Key: "$lt", Value: d.Seq}}}}
	})
}

// replaceByID replaces documents whatever they are.
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

// asWas returns a filter that finds a document as it was when it was read; nil when it is known to have changed. See
// [writer.replace] for what FerretDB needs.
func (w *writer) asWas(ctx context.Context, collection string, l live) (bson.D, error) {
	byID := bson.D{{Key: "_id", Value: l.id}}
	ferret, err := w.isFerret(ctx)
	if err != nil {
		return nil, err
	}
	if !ferret && l.raw.Type != 0 {
		return append(byID, bson.E{Key: "seq", Value: l.raw}), nil
	}
	var found bson.Raw
	err = w.db.Collection(collection).FindOne(ctx, byID).Decode(&found)
	if errors.Is(err, mongo.ErrNoDocuments) || err == nil && !found.Lookup("seq").Equal(l.raw) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", l.id, collection, err)
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

// isFerret reports whether a database is a FerretDB.
func isFerret(ctx context.Context, db *mongo.Database) (bool, error) {
	var server struct {
		Version string `bson:"ferretdbVersion"`
	}
	if err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&server); err != nil {
		return false, fmt.Errorf("ask the database what it is: %w", err)
	}
	return server.Version != "", nil
}
