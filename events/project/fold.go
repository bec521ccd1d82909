package project

import (
	"hash/fnv"

	"tillstream/events/log"
)

// entityRef names one entity: a document of a collection of the projection.
type entityRef struct {
	collection int
	id         string
}

// folded is an entity in the making.
type folded struct {
	state any
	seq   uint64
	err   error // it cannot be read
}

// folder folds the log by itself, without the log's cache and without what the projection has written.
type folder struct {
	collections []Collection
	entities    map[entityRef]*folded
}

func newFolder(collections []Collection) *folder {
	return &folder{collections: collections, entities: map[entityRef]*folded{}}
}

// entity returns which entity a subject is about, if it is one of this projection's.
func (f *folder) entity(subject string) (entityRef, bool) {
	for i, c := range f.collections {
		if id, ok := c.id(subject); ok {
			return entityRef{i, id}, true
		}
	}
	return entityRef{}, false
}

// add applies one message. An entity that carries its whole state in every event is as readable as its last one.
func (f *folder) add(ref entityRef, m log.Message) {
	e := f.entities[ref]
	if e == nil {
		e = &folded{}
		f.entities[ref] = e
	}
	c := f.collections[ref.collection]
	if e.err != nil && !c.lastOnly {
		return
	}
	state, err := c.step(e.state, m)
	if e.err = err; err == nil {
		e.state, e.seq = state, m.Sequence
	}
}

// documents renders what was folded, per collection, and names what cannot be read.
func (f *folder) documents() (documents []map[string]Document, unreadable map[entityRef]error) {
	documents, unreadable = make([]map[string]Document, len(f.collections)), map[entityRef]error{}
	for i := range documents {
		documents[i] = map[string]Document{}
	}
	for ref, e := range f.entities {
		if e.err != nil {
			unreadable[ref] = e.err
			continue
		}
		documents[ref.collection][ref.id] = Document{ID: ref.id, Seq: e.seq, Doc: f.collections[ref.collection].render(ref.id, e.state)}
	}
	return documents, unreadable
}

// entitiesAtOnce bounds the memory of a fold: a log with more of them is read several times.
const entitiesAtOnce = 50_000

// passOf says in which of several passes an entity is folded.
func passOf(id string, passes uint64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	return h.Sum64() % passes
}
