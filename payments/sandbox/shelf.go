package sandbox

import (
	"encoding/json"
	"fmt"
)

// hotStates is how many states of each kind stay decoded in memory. A payment
// lives through its requests within seconds; older ones are read back from
// the journal when somebody asks, so that a hundred thousand cost no more
// memory than where they lie.
const hotStates = 4096

// shelf finds the newest state of all objects of one kind, by id or by the
// order they were made in. States are replaced, never changed in place. It is
// guarded by the server's lock.
type shelf[T any] struct {
	journal *journal
	decode  func(line lineHead, data []byte) (*T, error)
	places  map[string]int
	rows    []row

	hot  map[int]*T
	ring []int // places of hot states, the oldest at next
	next int
}

// row is where an object's newest line lies, and when the object was made.
type row struct {
	line    span
	created int64
}

func newShelf[T any](j *journal, decode func(lineHead, []byte) (*T, error)) *shelf[T] {
	return &shelf[T]{journal: j, decode: decode, places: make(map[string]int), hot: make(map[int]*T)}
}

// plain decodes objects of which the journal's data is all there is.
func plain[T any](_ lineHead, data []byte) (*T, error) {
	state := new(T)
	return state, json.Unmarshal(data, state)
}

// find returns the object's state, nil if there is no such object.
func (s *shelf[T]) find(id string) (*T, error) {
	place, ok := s.places[id]
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
	line := s.rows[place].line
	raw, err := s.journal.read(line)
	if err != nil {
		return nil, err
	}
	e, err := parseLine(raw, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: line at byte %d: %w", ErrJournal, line.at, err)
	}
	state, err := s.decode(e.lineHead, raw[e.data.at:e.data.at+int64(e.data.size)])
	if err != nil {
		return nil, fmt.Errorf("%w: decode %s %s: %w", ErrJournal, e.Kind, e.ID, err)
	}
	s.keepHot(place, state)
	return state, nil
}

// place returns an object's rank in order of creation.
func (s *shelf[T]) place(id string) (int, bool) {
	place, ok := s.places[id]
	return place, ok
}

// put says where the object's newest line lies; state is nil when nobody has
// decoded it yet.
func (s *shelf[T]) put(id string, line span, state *T) (place int, fresh bool) {
	place, known := s.places[id]
	if !known {
		place = len(s.rows)
		s.places[id] = place
		s.rows = append(s.rows, row{})
	}
	s.rows[place].line = line
	if state != nil {
		s.keepHot(place, state)
	}
	return place, !known
}

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
