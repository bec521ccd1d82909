package view

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
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
	lastOnly bool // see log.Kind
	read     func(ctx context.Context, l *log.Log, id string, seq uint64) (Document, error)
	step     func(state any, m *jetstream.RawStreamMsg) (any, error)
	render   func(id string, state any) any
}

// Of makes a collection of a kind. doc renders a state as it is stored; its fields are named by their json tags.
func Of[S any](name string, kind log.Kind[S], doc func(id string, state S) any, indexes ...Index) Collection {
	return Collection{Name: name, Indexes: indexes, prefix: kind.Prefix, lastOnly: kind.LastOnly,
		read: func(ctx context.Context, l *log.Log, id string, seq uint64) (Document, error) {
			state, at, err := kind.ReadAtLeast(ctx, l, id, seq)
			if err != nil {
				return Document{}, err
			}
			return Document{ID: id, Seq: at, Doc: doc(id, state)}, nil
		},
		step: func(state any, m *jetstream.RawStreamMsg) (any, error) {
			known, _ := state.(S) // nil: the zero S
			return kind.Step(known, m)
		},
		render: func(id string, state any) any {
			known, _ := state.(S)
			return doc(id, known)
		}}
}

// id returns the entity's id when a subject belongs to this collection. The journal of webhooks lies among the payments'
// subjects but is no payment.
func (c Collection) id(subject string) (string, bool) {
	id, ok := strings.CutPrefix(subject, c.prefix)
	return id, ok && !strings.Contains(id, ".") && subject != events.SubjectWebhooks
}

// View is everything that a domain remembers of its stream.
type View struct {
	Archive     string // collection that gets every message
	Collections []Collection
	Name        string // of the durable consumer
	Stream      string
}
