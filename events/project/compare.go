package project

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	eventlog "tillstream/events/log"
)

// entityRef identifies one entity, and with it one document of one collection of the projection.
type entityRef struct {
	collection int
	id         string
}

// folded is the state of an entity during a fold.
type folded struct {
	state any
	seq   uint64
	err   error // set when the entity cannot be read
}

// folder folds the log independently of the cache of the log and of the stored documents.
type folder struct {
	collections []Collection
	entities    map[entityRef]*folded
}

// entity returns the entity of a subject, if the projection has a collection for it.
func (f *folder) entity(subject string) (entityRef, bool) {
	for i, c := range f.collections {
		if id, ok := c.id(subject); ok {
			return entityRef{i, id}, true
		}
	}
	return entityRef{}, false
}

// add applies one message. Where every event carries the whole state, an event that can be read makes its entity readable again.
func (f *folder) add(ref entityRef, m eventlog.Message) {
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

// documents renders the folded entities of each collection, and returns the entities that cannot be read.
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

// passOf returns the pass in which an entity is folded.
func passOf(id string, passes uint64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	return h.Sum64() % passes
}

// storedDocument identifies the version of a document that a collection holds.
type storedDocument struct {
	id  bson.RawValue
	raw bson.RawValue // the value of seq
	seq uint64
	sum [16]byte // of its bytes
}

// storedDocumentOf accepts any document: one whose seq is not a number differs by its bytes.
func storedDocumentOf(raw bson.Raw) storedDocument {
	return storedDocument{id: cloneValue(raw.Lookup("_id")), raw: cloneValue(raw.Lookup("seq")), seq: seqOf(raw), sum: sumOf(raw)}
}

func sumOf(raw bson.Raw) [16]byte {
	sum := sha256.Sum256(raw)
	return [16]byte(sum[:16])
}

// seqOf returns the sequence of a document, 0 when it has none or it is not a number.
func seqOf(raw bson.Raw) uint64 {
	number, _ := raw.Lookup("seq").AsInt64OK()
	return uint64(max(number, 0))
}

func cloneValue(v bson.RawValue) bson.RawValue {
	v.Value = slices.Clone(v.Value)
	return v
}

// idOf returns the id of a document. An id that is not a string is returned as JSON, which matches no entity.
func idOf(raw bson.Raw) string {
	if id, ok := raw.Lookup("_id").StringValueOK(); ok {
		return id
	}
	return raw.Lookup("_id").String()
}

// comparison folds the entities of one pass. It compares each one with its stored document when the fold reaches the sequence of
// that document.
type comparison struct {
	folder     *folder
	stored     []map[string]storedDocument
	checkpoint uint64

	due         map[entityRef]uint64   // the last event of each entity up to the checkpoint
	equal       map[entityRef]bool     // entities whose document equals the fold up to its sequence
	corrections map[entityRef]Document // the correct version, at the same sequence, of documents that are not equal
}

func newComparison(collections []Collection, stored []map[string]storedDocument, checkpoint uint64) *comparison {
	return &comparison{folder: &folder{collections: collections, entities: map[entityRef]*folded{}}, stored: stored, checkpoint: checkpoint,
		due: map[entityRef]uint64{}, equal: map[entityRef]bool{}, corrections: map[entityRef]Document{}}
}

// add folds one message.
func (c *comparison) add(ref entityRef, m eventlog.Message) error {
	c.folder.add(ref, m)
	e := c.folder.entities[ref]
	if e.err != nil || e.seq != m.Sequence {
		return nil //nolint:nilerr // unreadable entities are reported at the end of the pass
	}
	if m.Sequence <= c.checkpoint {
		c.due[ref] = m.Sequence
	}
	stored, ok := c.stored[ref.collection][ref.id]
	if !ok || stored.seq != m.Sequence {
		return nil
	}
	want := Document{ID: ref.id, Seq: m.Sequence, Doc: c.folder.collections[ref.collection].render(ref.id, e.state)}
	raw, err := encode(want)
	if err != nil {
		return err
	}
	if c.equal[ref] = sumOf(raw) == stored.sum; !c.equal[ref] {
		c.corrections[ref] = want
	}
	return nil
}

// differences are the ids of the documents of one collection that differ from the log, sorted.
type differences struct {
	different, missing, extra []string
}

// differences compares collection i with the documents that the log gives.
func (c *comparison) differences(i int, wanted map[string]Document, unreadable map[entityRef]error) (d differences) {
	for id := range wanted {
		ref := entityRef{i, id}
		switch stored, ok := c.stored[i][id]; {
		case !ok && c.due[ref] > 0:
			d.missing = append(d.missing, id)
		case ok && (!c.equal[ref] || stored.seq < c.due[ref]):
			d.different = append(d.different, id)
		}
	}
	for id := range c.stored[i] {
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

// maxExplainedFields is the largest number of fields of one document that are explained.
const maxExplainedFields = 3

// explain describes the fields in which a stored document differs from the correct one.
func explain(stored, want bson.Raw) string {
	storedFields, wantFields := map[string]string{}, map[string]string{}
	fields := append(flatten(want, "", wantFields), flatten(stored, "", storedFields)...)
	var found []string
	seen := map[string]bool{}
	for _, field := range fields {
		if s, w := storedFields[field], wantFields[field]; s != w && !seen[field] {
			found = append(found, fmt.Sprintf("%s is %s, should be %s", field, shorten(s), shorten(w)))
		}
		seen[field] = true
	}
	switch {
	case len(found) == 0:
		return "the same fields in another order"
	case len(found) > maxExplainedFields:
		found = append(found[:maxExplainedFields], fmt.Sprintf("and %d more fields", len(found)-maxExplainedFields))
	}
	return strings.Join(found, "; ")
}

// shorten returns a value for [explain].
func shorten(value string) string {
	if value == "" {
		return "absent"
	}
	const maxLength = 80
	if len(value) > maxLength {
		return strings.ToValidUTF8(value[:maxLength], "") + "…"
	}
	return value
}

// flatten adds the value of every field to a map by its path, and returns the paths in the order of the document.
func flatten(raw bson.Raw, prefix string, to map[string]string) (paths []string) {
	elements, err := raw.Elements()
	if err != nil { // a damaged document
		to[prefix+"(unreadable)"] = err.Error()
		return []string{prefix + "(unreadable)"}
	}
	for _, e := range elements {
		path := prefix + e.Key()
		if inner, ok := e.Value().DocumentOK(); ok {
			paths = append(paths, flatten(inner, path+".", to)...)
			continue
		}
		to[path] = e.Value().String()
		paths = append(paths, path)
	}
	return paths
}
