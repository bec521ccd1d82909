package feed

// era is a span in which deliveries arrive in the order of their numbers: one pin on one connection.
type era struct {
	pin        string
	reconnects uint64
}

// verdict is what to do with a delivery.
type verdict int

const (
	take      verdict = iota
	skip              // it was on the way when the consumer started over, and will come again
	startOver         // something before it is missing: the consumer must start over at its floor
)

// sequencer finds gaps. The broker numbers deliveries from 1 after each start-over; whatever else arrives first was on
// the way before.
type sequencer struct {
	era  era
	next uint64 // number of the delivery that follows; 0: unknown
}

func (s *sequencer) judge(e era, number uint64) verdict {
	switch {
	case s.next == 0 || e != s.era:
	case number == s.next:
		s.next++
		return take
	case s.next == 1:
		return skip
	}
	s.era, s.next = e, 1
	return startOver
}

// behind reports whether the broker has delivered more than has arrived.
func (s *sequencer) behind(delivered uint64) bool { return s.next > 0 && delivered >= s.next }
