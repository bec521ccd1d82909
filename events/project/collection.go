package project

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Projection is the collections that one lane writes together.
type Projection struct {
	Collections []Collection
	Name        string // of the lane, such as "orders.projection"
}

// Document is one entity as stored.
type Document struct {
	ID  string `bson:"_id"`
	Seq uint64 `bson:"seq"` // of the last event in Doc
	Doc any    `bson:"doc"`
}

// Collection folds the entities of one kind into one MongoDB collection.
type Collection struct {
	Name    string
	Indexes []Index

	prefix   string
	lastOnly bool // see [eventlog.Entity]
	read     func(ctx context.Context, l *eventlog.Log, id string, seq uint64) (Document, error)
	step     func(state any, m eventlog.Message) (any, error)
	render   func(id string, state any) any
}

// NewCollection returns the collection of one kind of entity. doc turns a state into the document that is stored; json tags name
// the fields of the document.
func NewCollection[S any](name string, entity eventlog.Entity[S], doc func(id string, state S) any, indexes ...Index) Collection {
	return Collection{Name: name, Indexes: indexes, prefix: entity.Prefix, lastOnly: entity.LastOnly,
		read: func(ctx context.Context, l *eventlog.Log, id string, seq uint64) (Document, error) {
			state, at, err := entity.ReadAtLeast(ctx, l, id, seq)
			if err != nil {
				return Document{}, err
			}
			return Document{ID: id, Seq: at, Doc: doc(id, state)}, nil
		},
		step: func(state any, m eventlog.Message) (any, error) {
			known, _ := state.(eventlog.State[S]) // nil: the zero state
			return entity.Step(known, m)
		},
		render: func(id string, state any) any {
			known, _ := state.(eventlog.State[S])
			return doc(id, known.Value)
		}}
}

// id returns the id of the entity when a subject belongs to this collection. The subject of received webhooks has the prefix of
// payments but is not a payment.
func (c Collection) id(subject string) (string, bool) {
	if subject == events.SubjectWebhooks {
		return "", false
	}
	return events.ParseSubject(c.prefix, subject)
}

// Index is one index of a collection. A key with the prefix "-" is in descending order.
type Index struct {
	Keys   []string // such as "doc.status", "-doc.placed_at"
	Unique bool
}

func (i Index) keys() bson.D {
	var keys bson.D
	for _, k := range i.Keys {
		if name, descending := strings.CutPrefix(k, "-"); descending {
			keys = append(keys, bson.E{Key: name, Value: -1})
		} else {
			keys = append(keys, bson.E{Key: k, Value: 1})
		}
	}
	return keys
}

// name returns the name of the index in the database.
func (i Index) name() string {
	return strings.NewReplacer("-", "desc_", ".", "_").Replace(strings.Join(i.Keys, "__"))
}

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

func ensureAllIndexes(ctx context.Context, db *mongo.Database, collections []Collection) error {
	for _, c := range collections {
		if err := EnsureIndexes(ctx, db, c); err != nil {
			return err
		}
	}
	return nil
}

// MissingIndexes returns the names of the indexes of a collection that do not exist in the database.
func MissingIndexes(ctx context.Context, db *mongo.Database, c Collection) (names []string, err error) {
	missing, err := missingIndexes(ctx, db, c)
	for _, index := range missing {
		names = append(names, index.name())
	}
	return names, err
}

// missingIndexes returns only indexes that do not exist: MongoDB accepts the creation of an existing index, but FerretDB v1.24.2
// panics.
func missingIndexes(ctx context.Context, db *mongo.Database, c Collection) ([]Index, error) {
	wanted, err := usedIndexes(ctx, db, c.Indexes)
	if err != nil || len(wanted) == 0 {
		return nil, err
	}
	existing, err := db.Collection(c.Name).Indexes().ListSpecifications(ctx)
	var command mongo.CommandError
	if err != nil && (!errors.As(err, &command) || command.Code != codeNamespaceNotFound) {
		return nil, fmt.Errorf("list indexes of %s: %w", c.Name, err)
	}
	return slices.DeleteFunc(slices.Clone(wanted), func(i Index) bool {
		return slices.ContainsFunc(existing, func(e mongo.IndexSpecification) bool { return e.Name == i.name() })
	}), nil
}

// usedIndexes returns the indexes that the server uses. FerretDB v1 on SQLite reads the whole collection for every query except
// one by _id. An index that does not refuse duplicates therefore only slows down its writes; without this filter, such indexes
// were a fifth of its work per order.
func usedIndexes(ctx context.Context, db *mongo.Database, indexes []Index) ([]Index, error) {
	ferret, err := isFerret(ctx, db)
	if err != nil || !ferret {
		return indexes, err
	}
	return slices.DeleteFunc(slices.Clone(indexes), func(i Index) bool { return !i.Unique }), nil
}
