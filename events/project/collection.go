package project

import (
	"context"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/log"
)

// Index is one index of a collection. A key that starts with - descends.
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

// name is how the index is called in the database.
func (i Index) name() string {
	return strings.NewReplacer("-", "desc_", ".", "_").Replace(strings.Join(i.Keys, "__"))
}

// Document is one entity as stored.
type Document struct {
	ID  string `bson:"_id"`
	Seq uint64 `bson:"seq"` // of the last event in Doc
	Doc any    `bson:"doc"`
}

// Collection folds one kind of entity into one collection.
type Collection struct {
	Name    string
	Indexes []Index

	prefix   string
	lastOnly bool // see log.Entity
	read     func(ctx context.Context, l *log.Log, id string, seq uint64) (Document, error)
	step     func(state any, m log.Message) (any, error)
	render   func(id string, state any) any
}

// NewCollection makes a collection of a kind of entity. doc renders a state as it is stored; its fields are named by their json tags.
func NewCollection[S any](name string, entity log.Entity[S], doc func(id string, state S) any, indexes ...Index) Collection {
	return Collection{Name: name, Indexes: indexes, prefix: entity.Prefix, lastOnly: entity.LastOnly,
		read: func(ctx context.Context, l *log.Log, id string, seq uint64) (Document, error) {
			state, at, err := entity.ReadAtLeast(ctx, l, id, seq)
			if err != nil {
				return Document{}, err
			}
			return Document{ID: id, Seq: at, Doc: doc(id, state)}, nil
		},
		step: func(state any, m log.Message) (any, error) {
			known, _ := state.(log.State[S]) // nil: the zero state
			return entity.Step(known, m)
		},
		render: func(id string, state any) any {
			known, _ := state.(log.State[S])
			return doc(id, known.Value)
		}}
}

// id returns the entity's id when a subject belongs to this collection. The journal of webhooks stands among the subjects
// of payments but is no payment.
func (c Collection) id(subject string) (string, bool) {
	if subject == events.SubjectWebhooks {
		return "", false
	}
	return events.ParseSubject(c.prefix, subject)
}

// Projection is the collections of one lane, which are written together.
type Projection struct {
	Collections []Collection
	Name        string // of the lane, such as "orders.projection"
}
