package view

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

// Error codes of MongoDB (mongo/src/mongo/base/error_codes.yml).
const (
	codeDuplicateKey      = 11000
	codeNamespaceNotFound = 26
)

// writer writes documents. It remembers which ones exist, because inserting is about twenty times cheaper than
// replacing on FerretDB, and most documents are written once.
type writer struct {
	db    *mongo.Database
	known *lru.Cache[string, struct{}] // "collection/id" of documents that exist
}

// knownDocuments bounds the memory of the writer. Forgetting costs one refused insert.
const knownDocuments = 20_000

func newWriter(db *mongo.Database) *writer {
	known, err := lru.New[string, struct{}](knownDocuments)
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	return &writer{db: db, known: known}
}

// insertChunk returns the positions of the documents that existed.
func (w *writer) insertChunk(ctx context.Context, collection string, documents []any) (existing []int, err error) {
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
		existing = append(existing, e.Index)
	}
	return existing, nil
}

// upsert writes documents that may be there already, in an older state.
func (w *writer) upsert(ctx context.Context, collection string, documents []Document) error {
	var fresh []any
	var old []Document
	for _, d := range documents {
		if w.known.Contains(collection + "/" + d.ID) {
			old = append(old, d)
		} else {
			fresh = append(fresh, d)
		}
	}
	for len(fresh) > 0 {
		n := min(len(fresh), insertChunk)
		existing, err := w.insertChunk(ctx, collection, fresh[:n])
		if err != nil {
			return err
		}
		for _, i := range existing {
			old = append(old, fresh[i].(Document))
		}
		fresh = fresh[n:]
	}
	if err := w.replace(ctx, collection, old); err != nil {
		return err
	}
	for _, d := range documents {
		w.known.Add(collection+"/"+d.ID, struct{}{})
	}
	return nil
}

// replace puts the new state where the document is not newer already.
func (w *writer) replace(ctx context.Context, collection string, documents []Document) error {
	for len(documents) > 0 {
		n := min(len(documents), replaceChunk)
		models := make([]mongo.WriteModel, 0, n)
		for _, d := range documents[:n] {
			models = append(models, mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: d.ID}}).SetReplacement(d).SetUpsert(true))
		}
		if _, err := w.db.Collection(collection).BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false)); err != nil {
			return fmt.Errorf("replace in %s: %w", collection, err)
		}
		documents = documents[n:]
	}
	return nil
}

// createIndexes creates those that are missing. Creating one that exists is no error in MongoDB, but FerretDB v1.24.2
// panics when it is asked to.
func createIndexes(ctx context.Context, collection *mongo.Collection, indexes []Index) error {
	if len(indexes) == 0 {
		return nil
	}
	existing, err := collection.Indexes().ListSpecifications(ctx)
	var missing mongo.CommandError
	if err != nil && (!errors.As(err, &missing) || missing.Code != codeNamespaceNotFound) {
		return fmt.Errorf("list indexes of %s: %w", collection.Name(), err)
	}
	var models []mongo.IndexModel
	for _, i := range indexes {
		if !slices.ContainsFunc(existing, func(e mongo.IndexSpecification) bool { return e.Name == i.name() }) {
			models = append(models, mongo.IndexModel{Keys: i.keys(), Options: options.Index().SetUnique(i.Unique).SetName(i.name())})
		}
	}
	if len(models) == 0 {
		return nil // CreateMany wants at least one
	}
	if _, err := collection.Indexes().CreateMany(ctx, models); err != nil {
		return fmt.Errorf("create indexes of %s: %w", collection.Name(), err)
	}
	return nil
}

// useful leaves out the indexes that a server does not use: FerretDB v1 on SQLite answers every query but one by _id by
// reading the whole collection, so to it an index that is not there to refuse duplicates only costs writes. Measured, the
// shop's indexes were a fifth of its work per order.
func useful(ctx context.Context, db *mongo.Database, indexes []Index) ([]Index, error) {
	var server struct {
		FerretDB string `bson:"ferretdbVersion"`
	}
	if err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&server); err != nil {
		return nil, fmt.Errorf("ask the database what it is: %w", err)
	}
	if server.FerretDB == "" {
		return indexes, nil
	}
	return slices.DeleteFunc(slices.Clone(indexes), func(i Index) bool { return !i.Unique }), nil
}
