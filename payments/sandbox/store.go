package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/maphash"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tillstream/events/embedded/journal"
)

// cachedStates is how many states of each kind stay decoded in memory. The requests of a payment come within seconds. Older states
// are read from the journal, so of a hundred thousand payments memory holds only the positions.
const cachedStates = 1024

// objects finds the newest state of every object of one kind, by id or by index, which is its rank in order of creation.
// States are replaced and never changed. A transaction changes at most one object of a kind. It is guarded by the server's
// lock.
type objects[T any] struct {
	read    func(at int64) (record, error)
	kind    string
	decode  func(line) (*T, error)
	indexes map[uint64]uint32 // by the hash of the id, which is shorter
	rows    []row
	cache   *simplelru.LRU[int, *T] // by index
}

// row has the position of the transaction that wrote an object last, and the object's creation in Unix seconds. It is small,
// because every object ever created has one.
type row struct {
	at      int64
	created uint32
}

func newObjects[T any](read func(at int64) (record, error), kind string, decode func(line) (*T, error)) *objects[T] {
	cache, err := simplelru.NewLRU[int, *T](cachedStates, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &objects[T]{read: read, kind: kind, decode: decode, indexes: make(map[uint64]uint32), cache: cache}
}

// decodeObject decodes objects that have no note.
func decodeObject[T any](l line) (*T, error) {
	state := new(T)
	return state, json.Unmarshal(l.data, state)
}

// find returns the object's state, nil if there is no such object.
func (o *objects[T]) find(id string) (*T, error) {
	index, ok := o.index(id)
	if !ok {
		return nil, nil
	}
	return o.get(index)
}

// get returns the state of the object with an index.
func (o *objects[T]) get(index int) (*T, error) {
	if state, ok := o.cache.Get(index); ok {
		return state, nil
	}
	at := o.rows[index].at
	written, err := o.read(at)
	if err != nil {
		return nil, err
	}
	l, err := written.last(func(l line) bool { return l.kind == o.kind })
	if err != nil {
		return nil, fmt.Errorf("%w: %s in the transaction at %d: %w", journal.ErrDamaged, o.kind, at, err)
	}
	state, err := o.decode(l)
	if err != nil {
		return nil, fmt.Errorf("%w: decode %s %s: %w", journal.ErrDamaged, l.kind, l.id, err)
	}
	o.cache.Add(index, state)
	return state, nil
}

func (o *objects[T]) index(id string) (int, bool) {
	index, ok := o.indexes[hashOf(id)]
	return int(index), ok
}

// put records which transaction wrote the object last. state may be nil; then it is decoded when it is needed.
func (o *objects[T]) put(id string, at int64, state *T) (index int, created bool) {
	index, known := o.index(id)
	if !known {
		index = len(o.rows)
		o.indexes[hashOf(id)] = uint32(index)
		o.rows = append(o.rows, row{})
	}
	o.rows[index].at = at
	if state != nil {
		o.cache.Add(index, state)
	}
	return index, !known
}

// hashOf returns the hash that replaces an id in memory. The probability that two of a million ids have the same hash is one in
// thirty million.
func hashOf(id string) uint64 { return maphash.String(hashSeed, id) }

var hashSeed = maphash.MakeSeed()
