package project

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// codeNamespaceNotFound is an error code of MongoDB (mongo/src/mongo/base/error_codes.yml).
const codeNamespaceNotFound = 26

// EnsureIndexes creates the indexes of a collection that are missing.
func EnsureIndexes(ctx context.Context, db *mongo.Database, c Collection) error {
	missing, err := missingIndexes(ctx, db, c)
	if err != nil || len(missing) == 0 {
		return err
	}
	models := make([]mongo.IndexModel, len(missing))
	for i, index := range missing {
		models[i] = mongo.IndexModel{Keys: index.keys(), Options: options.Index().SetUnique(index.Unique).SetName(index.name())}
	}
	if _, err := db.Collection(c.Name).Indexes().CreateMany(ctx, models); err != nil {
		return fmt.Errorf("create indexes of %s: %w", c.Name, err)
	}
	return nil
}

// MissingIndexes names the indexes that a collection should have and has not.
func MissingIndexes(ctx context.Context, db *mongo.Database, c Collection) (names []string, err error) {
	missing, err := missingIndexes(ctx, db, c)
	for _, index := range missing {
		names = append(names, index.name())
	}
	return names, err
}

// missingIndexes leaves out what exists: creating an index that exists is no error in MongoDB, but FerretDB v1.24.2 panics
// when it is asked to.
func missingIndexes(ctx context.Context, db *mongo.Database, c Collection) ([]Index, error) {
	wanted, err := useful(ctx, db, c.Indexes)
	if err != nil || len(wanted) == 0 {
		return nil, err
	}
	existing, err := db.Collection(c.Name).Indexes().ListSpecifications(ctx)
	var missing mongo.CommandError
	if err != nil && (!errors.As(err, &missing) || missing.Code != codeNamespaceNotFound) {
		return nil, fmt.Errorf("list indexes of %s: %w", c.Name, err)
	}
	return slices.DeleteFunc(slices.Clone(wanted), func(i Index) bool {
		return slices.ContainsFunc(existing, func(e mongo.IndexSpecification) bool { return e.Name == i.name() })
	}), nil
}

// useful leaves out the indexes that a server does not use: FerretDB v1 on SQLite answers every query but one by _id by
// reading the whole collection, so to it an index that is not there to refuse duplicates only costs writes. Measured, the
// shop's indexes were a fifth of its work per order.
func useful(ctx context.Context, db *mongo.Database, indexes []Index) ([]Index, error) {
	ferret, err := isFerret(ctx, db)
	if err != nil || !ferret {
		return indexes, err
	}
	return slices.DeleteFunc(slices.Clone(indexes), func(i Index) bool { return !i.Unique }), nil
}
