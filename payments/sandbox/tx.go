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
	lines    map[any]span // newest line's data of each object put, relative to buf
	charges  []*charge
	events   []eventRow
	answers  []*keyAnswer
	installs []func(start int64) // what commit makes visible
	err      error               // the first problem with journal or encoding
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
	line := t.put(lineIntent, in.ID, intentNote{News: news, intentPrivate: in.private}, in)
	t.installs = append(t.installs, func(start int64) { t.server.installIntent(in.ID, line.moved(start), news, in) })
}

func (t *tx) putCharge(ch *charge) {
	news := chargeNews(t.newestCharge(ch.ID), ch)
	line := t.put(lineCharge, ch.ID, chargeNote{News: news}, ch)
	t.charges = append(t.charges, ch)
	t.installs = append(t.installs, func(start int64) { t.server.installCharge(ch.ID, line.moved(start), news, ch) })
}

func (t *tx) putRefund(re *refund) {
	news := &refundFacts{Created: re.Created, Charge: re.Charge, PaymentIntent: re.PaymentIntent}
	line := t.put(lineRefund, re.ID, refundNote{News: news}, re)
	t.installs = append(t.installs, func(start int64) { t.server.installRefund(re.ID, line.moved(start), news, re) })
}

// put writes the object's present state as a line.
func (t *tx) put(kind, id string, note, object any) (line span) {
	encoded, err := json.Marshal(note)
	t.fail(err)
	data, err := json.Marshal(object)
	t.fail(err)
	if t.lines == nil {
		t.lines = make(map[any]span, 4)
	}
	line, t.lines[object] = t.line(lineHead{Kind: kind, ID: id, Note: encoded}, data)
	return line
}

func (t *tx) line(head lineHead, data []byte) (line, body span) {
	buf, line, body, err := appendLine(t.buf, head, data)
	t.buf = buf
	t.fail(err)
	return line, body
}

func (t *tx) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// state returns the bytes of the object as last put.
func (t *tx) state(object any) ([]byte, span, bool) {
	s, ok := t.lines[object]
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
	t.line(lineHead{Kind: lineEnd}, nil)
	start, err := t.server.journal.commit(t.buf)
	if err != nil {
		return err
	}
	for _, install := range t.installs {
		install(start)
	}
	for _, row := range t.events {
		t.server.events.add(row.moved(start))
	}
	for _, a := range t.answers {
		t.server.keys.keep(a.moved(start))
	}
	return nil
}
