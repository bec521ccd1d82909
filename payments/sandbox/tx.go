package sandbox

import (
	"encoding/json"
	"fmt"
	"time"
)

// tx is what one request changes. Objects are read as copies, put back as
// journal lines, and become the server's state only after the journal has
// them: a failed write changes nothing.
//
// It is used by one goroutine, which holds the server's lock.
type tx struct {
	server *Server
	call   *call
	now    time.Time

	buf      []byte
	states   map[any]span // newest line's data of each object put
	charges  []*charge
	events   []eventRow
	installs []func(at int64) // what commit makes visible
	err      error            // the first problem with journal or encoding
}

func (s *Server) begin(c *call) *tx {
	return &tx{server: s, call: c, now: s.config.Now()}
}

// found passes on what a shelf gave, and remembers its failure: the request
// then ends with a 500, whatever the operation makes of the missing object.
func found[T any](t *tx, state *T, err error) *T {
	t.fail(err)
	return state
}

func copied[T any](state *T) *T {
	if state == nil {
		return nil
	}
	c := *state
	return &c
}

// intent returns a copy to work on, or nil.
func (t *tx) intent(id string) *intent {
	in, err := t.server.intents.find(id)
	return copied(found(t, in, err))
}

// charge returns a copy to work on, or nil.
func (t *tx) charge(id string) *charge { return copied(t.newestCharge(id)) }

// newestCharge returns the charge as it is after what this request did so far.
func (t *tx) newestCharge(id string) *charge {
	for i := len(t.charges) - 1; i >= 0; i-- {
		if t.charges[i].ID == id {
			return t.charges[i]
		}
	}
	ch, err := t.server.charges.find(id)
	return found(t, ch, err)
}

// refund returns a copy to work on, or nil.
func (t *tx) refund(id string) *refund {
	re, err := t.server.refunds.find(id)
	return copied(found(t, re, err))
}

func (t *tx) putIntent(in *intent) {
	before, err := t.server.intents.find(in.ID)
	news := intentNews(found(t, before, err), in)
	t.put(lineIntent, in.ID, intentNote{News: news, intentPrivate: in.private}, in)
	t.installs = append(t.installs, func(at int64) { t.server.installIntent(in.ID, at, news, in) })
}

func (t *tx) putCharge(ch *charge) {
	news := chargeNews(t.newestCharge(ch.ID), ch)
	t.put(lineCharge, ch.ID, chargeNote{News: news}, ch)
	t.charges = append(t.charges, ch)
	t.installs = append(t.installs, func(at int64) { t.server.installCharge(ch.ID, at, news, ch) })
}

func (t *tx) putRefund(re *refund) {
	news := &refundFacts{Created: re.Created, Charge: re.Charge, PaymentIntent: re.PaymentIntent}
	t.put(lineRefund, re.ID, refundNote{News: news}, re)
	t.installs = append(t.installs, func(at int64) { t.server.installRefund(re.ID, at, news, re) })
}

// put writes the object's present state as a line.
func (t *tx) put(kind, id string, note, object any) {
	data, err := json.Marshal(object)
	t.fail(err)
	if t.states == nil {
		t.states = make(map[any]span, 4)
	}
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

func (t *tx) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// state returns the bytes of the object as last put.
func (t *tx) state(object any) ([]byte, span, bool) {
	s, ok := t.states[object]
	if !ok {
		return nil, span{}, false
	}
	return t.buf[s.at : s.at+int64(s.size)], s, true
}

// commit makes the transaction durable and then visible.
func (t *tx) commit() error {
	if t.err != nil {
		return fmt.Errorf("sandbox transaction: %w", t.err)
	}
	if len(t.buf) == 0 {
		return nil
	}
	t.buf = append(t.buf, endLine...)
	at, err := t.server.journal.commit(t.buf)
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
	return nil
}
