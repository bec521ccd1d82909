package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tillstream/events/embedded/journal"
)

// cachedStates is how many states of each kind stay decoded in memory. The requests of a payment come within seconds. Older states
// are read from the journal, so of a hundred thousand payments memory holds only the positions.
const cachedStates = 1024

// objects finds the newest state of every object of one kind, by id or by index, which is its rank in order of creation.
// States are replaced and never changed. It is guarded by the server's lock.
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
	l, err := written.last(func(l line) bool {
		i, ok := o.index(string(l.id))
		return l.kind == o.kind && ok && i == index
	})
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

// tx has the changes of one request. Objects are read as copies and put as journal lines. commit appends the lines to the
// journal before it changes the server's memory, so a failed write changes nothing.
//
// One goroutine uses it, and holds the server's lock.
type tx struct {
	server *Server
	call   *call
	now    time.Time

	buf       []byte
	states    map[any]span   // the data of the newest line of each object put
	newest    map[string]any // the objects put, by id
	events    []eventRow
	foreign   int  // foreign payments to make after the commit
	faultless bool // no fault hits its events

	installs []func(at int64) // change the server's memory after the commit at a position
	err      error            // the first error of the journal or of encoding; the request ends with 500
}

func (s *Server) begin(c *call) *tx {
	return &tx{server: s, call: c, now: s.now()}
}

func (t *tx) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// orFail records the error in the transaction and returns the state.
func orFail[T any](t *tx, state *T, err error) *T {
	t.fail(err)
	return state
}

func clone[T any](state *T) *T {
	if state == nil {
		return nil
	}
	c := *state
	return &c
}

// intent returns a copy to change, or nil.
func (t *tx) intent(id string) *intent {
	in, err := t.server.intents.find(id)
	return clone(orFail(t, in, err))
}

// intentAt returns a copy of the intent with an index, to change.
func (t *tx) intentAt(index int) *intent {
	in, err := t.server.intents.get(index)
	return clone(orFail(t, in, err))
}

// charge returns a copy to change, or nil.
func (t *tx) charge(id string) *charge { return clone(t.newestCharge(id)) }

// newestCharge returns the charge, including the changes of this transaction.
func (t *tx) newestCharge(id string) *charge {
	if ch, ok := t.newest[id].(*charge); ok {
		return ch
	}
	ch, err := t.server.charges.find(id)
	return orFail(t, ch, err)
}

// refund returns a copy to change, or nil.
func (t *tx) refund(id string) *refund {
	re, err := t.server.refunds.find(id)
	return clone(orFail(t, re, err))
}

func (t *tx) putIntent(in *intent) {
	before, err := t.server.intents.find(in.ID)
	facts := intentFactsOf(orFail(t, before, err), in)
	t.put(lineIntent, in.ID, intentNote{Facts: facts, intentPrivate: in.private}, in)
	t.installs = append(t.installs, func(at int64) { t.server.installIntent(in.ID, at, facts, in) })
}

func (t *tx) putCharge(ch *charge) {
	t.put(lineCharge, ch.ID, struct{}{}, ch)
	t.installs = append(t.installs, func(at int64) { t.server.charges.put(ch.ID, at, ch) })
}

func (t *tx) putRefund(re *refund) {
	facts := &refundFacts{Created: re.Created, Charge: re.Charge, PaymentIntent: re.PaymentIntent}
	t.put(lineRefund, re.ID, refundNote{Facts: facts}, re)
	t.installs = append(t.installs, func(at int64) { t.server.installRefund(re.ID, at, facts, re) })
}

// put writes the object's state as a line.
func (t *tx) put(kind, id string, note, object any) {
	data, err := json.Marshal(object)
	t.fail(err)
	if t.states == nil {
		t.states, t.newest = make(map[any]span, 4), make(map[string]any, 4)
	}
	t.newest[id] = object
	t.states[object] = t.line(kind, id, note, data)
}

// line writes a line and returns the span of its data.
func (t *tx) line(kind, id string, note any, data []byte) span {
	encoded, err := json.Marshal(note)
	t.fail(err)
	buf, body, err := appendLine(t.buf, lineHead{Kind: kind, ID: id, Note: encoded}, data)
	t.buf = buf
	t.fail(err)
	return body
}

// state returns the bytes of the object as last put.
func (t *tx) state(object any) ([]byte, span, bool) {
	s, ok := t.states[object]
	if !ok {
		return nil, span{}, false
	}
	return t.buf[s.at : s.at+int64(s.size)], s, true
}

// commit stores the transaction and then makes it visible.
func (t *tx) commit() error {
	if t.err != nil {
		return fmt.Errorf("sandbox transaction: %w", t.err)
	}
	if len(t.buf) == 0 {
		return nil
	}
	t.buf = append(t.buf, endLine...)
	at, err := t.server.journal.Append(t.buf)
	if err != nil {
		return err
	}
	for _, install := range t.installs {
		install(at)
	}
	for _, row := range t.events {
		row.at = at
		t.server.events.add(row)
	}
	t.server.addForeigners(t.foreign)
	return nil
}

func (s *Server) installIntent(id string, at int64, facts *intentFacts, in *intent) {
	index, _ := s.intents.put(id, at, in)
	if facts != nil {
		s.intents.rows[index].created = uint32(facts.Created)
		s.metadata.add(facts.Pairs, index)
	}
}

func (s *Server) installRefund(id string, at int64, facts *refundFacts, re *refund) {
	index, created := s.refunds.put(id, at, re)
	if !created || facts == nil {
		return
	}
	s.refunds.rows[index].created = uint32(facts.Created)
	s.refundsOf[facts.Charge] = append(s.refundsOf[facts.Charge], index)
	s.refundsOf[facts.PaymentIntent] = append(s.refundsOf[facts.PaymentIntent], index)
}
