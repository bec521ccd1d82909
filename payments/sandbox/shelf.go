package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
)

// hotStates is how many states of each kind stay decoded in memory. A payment
// lives through its requests within seconds; older ones are read back from
// the journal when somebody asks, so that a hundred thousand cost no more
// memory than where they lie.
const hotStates = 1024

// shelf finds the newest state of all objects of one kind, by id or by the
// order they were made in. States are replaced, never changed in place, and a
// transaction changes one object of a kind. It is guarded by the server's lock.
type shelf[T any] struct {
	journal *journal
	kind    string
	decode  func(line) (*T, error)
	places  map[uint64]uint32 // by the hash of the id, which is shorter
	rows    []row

	hot  map[int]*T
	ring []int // places of hot states, the oldest at next
	next int
}

// row is where the transaction begins that wrote an object last, and when the
// object was made. There is one for every object ever made, so it is small.
type row struct {
	at      int64
	created uint32
}

func newShelf[T any](j *journal, kind string, decode func(line) (*T, error)) *shelf[T] {
	return &shelf[T]{journal: j, kind: kind, decode: decode, places: make(map[uint64]uint32), hot: make(map[int]*T)}
}

// plain decodes objects of which the journal's data is all there is.
func plain[T any](l line) (*T, error) {
	state := new(T)
	return state, json.Unmarshal(l.data, state)
}

// find returns the object's state, nil if there is no such object.
func (s *shelf[T]) find(id string) (*T, error) {
	place, ok := s.place(id)
	if !ok {
		return nil, nil
	}
	return s.at(place)
}

// at returns the state of the object made as number place.
func (s *shelf[T]) at(place int) (*T, error) {
	if state := s.hot[place]; state != nil {
		return state, nil
	}
	at := s.rows[place].at
	written, err := s.journal.read(at)
	if err != nil {
		return nil, err
	}
	l, err := written.last(func(l line) bool { return l.kind == s.kind })
	if err != nil {
		return nil, fmt.Errorf("%w: %s in the transaction at byte %d: %w", ErrJournal, s.kind, at, err)
	}
	state, err := s.decode(l)
	if err != nil {
		return nil, fmt.Errorf("%w: decode %s %s: %w", ErrJournal, l.kind, l.id, err)
	}
	s.keepHot(place, state)
	return state, nil
}

// place returns an object's rank in order of creation.
func (s *shelf[T]) place(id string) (int, bool) {
	place, ok := s.places[hashOf(id)]
	return int(place), ok
}

// put says which transaction wrote the object last; state is nil when nobody
// has decoded it yet.
func (s *shelf[T]) put(id string, at int64, state *T) (place int, fresh bool) {
	place, known := s.place(id)
	if !known {
		place = len(s.rows)
		s.places[hashOf(id)] = uint32(place)
		s.rows = append(s.rows, row{})
	}
	s.rows[place].at = at
	if state != nil {
		s.keepHot(place, state)
	}
	return place, !known
}

// hashOf stands for an id in memory. Among a million ids, two share a number
// once in thirty million runs.
func hashOf(id string) uint64 { return maphash.String(hashSeed, id) }

var hashSeed = maphash.MakeSeed()

func (s *shelf[T]) keepHot(place int, state *T) {
	if s.hot[place] != nil {
		s.hot[place] = state
		return
	}
	if len(s.ring) < hotStates {
		s.ring = append(s.ring, place)
	} else {
		delete(s.hot, s.ring[s.next])
		s.ring[s.next] = place
		s.next = (s.next + 1) % hotStates
	}
	s.hot[place] = state
}
