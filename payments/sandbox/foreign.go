package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// oldVersion is the API version of the events of the fault old_version. Until 2017-05-25 the request of an event was a string.
const oldVersion = "2014-12-22"

// Foreign is a kind of payment that another shop made on the same account.
type Foreign string

// The kinds of foreign payments.
const (
	// ForeignNoMetadata is a payment_intent.succeeded whose object has no metadata.
	ForeignNoMetadata Foreign = "no_metadata"
	// ForeignNullMetadata is a payment_intent.succeeded whose metadata is null.
	ForeignNullMetadata Foreign = "null_metadata"
	// ForeignOrder is a payment_intent.succeeded with another shop's order_id.
	ForeignOrder Foreign = "foreign_order"
	// ForeignRefund is a charge.refunded of another shop's charge.
	ForeignRefund Foreign = "foreign_refund"
)

var foreignKinds = []Foreign{ForeignNoMetadata, ForeignNullMetadata, ForeignOrder, ForeignRefund}

// AddForeign makes a payment as another shop on the same account does, with an event that is delivered and in the event list. The
// intent, its charge and its balance transactions exist, too.
func (s *Server) AddForeign(kind Foreign) error {
	if !slices.Contains(foreignKinds, kind) {
		return fmt.Errorf("add a foreign payment: unknown kind %q", kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addForeign(kind)
}

// addForeign is AddForeign for callers that hold the lock.
func (s *Server) addForeign(kind Foreign) error {
	t := s.begin(&call{id: newRequestID()})
	t.faultless = true
	t.foreignPayment(kind)
	if err := t.commit(); err != nil {
		return fmt.Errorf("add a foreign payment: %w", err)
	}
	return nil
}

func (t *tx) foreignPayment(kind Foreign) {
	in := newIntent(t.now)
	in.Amount, in.Currency, in.CaptureMethod = 4200, "eur", captureAutomatic
	in.Description, in.PaymentMethodTypes = "Order 1042 of another shop", []string{"card"}
	in.Metadata = map[string]string{}
	if kind == ForeignOrder {
		in.Metadata["order_id"] = "1042"
	}
	visa := testCards[0].card(12, int64(t.now.Year()+1))
	in.use(&means{card: &visa})
	ch := newCharge(in, t.now)
	ch.approve(false, t.now)
	t.authorize(in, ch)
	t.putIntent(in)
	switch kind {
	case ForeignNoMetadata:
		t.emitForeign("payment_intent.succeeded", in, nil)
	case ForeignNullMetadata:
		t.emitForeign("payment_intent.succeeded", in, json.RawMessage("null"))
	case ForeignOrder:
		t.emit("payment_intent.succeeded", in)
	case ForeignRefund:
		re := newRefund(ch, ch.Amount, t.now)
		re.Metadata = map[string]string{}
		re.BalanceTransaction = text(t.book(bookRefund, re.ID, re.Currency, -re.Amount, 0).ID)
		ch.refund(ch.Amount)
		t.putCharge(ch)
		t.putRefund(re)
		t.emit("charge.refunded", ch)
	}
}

// emitForeign records an event whose snapshot has other metadata than the object, nil for none.
func (t *tx) emitForeign(kind string, in *intent, metadata json.RawMessage) {
	snapshot, _, _ := t.state(in)
	var members map[string]json.RawMessage
	t.fail(json.Unmarshal(snapshot, &members))
	delete(members, "metadata")
	if metadata != nil {
		members["metadata"] = metadata
	}
	data, err := json.Marshal(members)
	t.fail(err)
	t.emitSpan(kind, t.line(lineForeign, in.ID, struct{}{}, data), "")
}

// emitFaulty adds the events of the faults that hit an event.
func (t *tx) emitFaulty(kind string, snapshot span) {
	if t.faultless {
		return
	}
	if t.server.faults.pick(faultOldVersion) != "" {
		t.emitSpan(kind, snapshot, oldVersion)
	}
	if t.server.faults.pick(faultForeign) != "" {
		t.foreign++
	}
}

// addForeigners makes the foreign payments of the fault. They are transactions of their own, after the one that was hit.
func (s *Server) addForeigners(n int) {
	for range n {
		kind := foreignKinds[s.faults.number(faultForeign, len(foreignKinds))]
		if err := s.addForeign(kind); err != nil {
			s.config.Logger.Error("inject fault", "fault", strings.TrimPrefix(faultForeign, "webhooks."), "error", err)
		}
	}
}
