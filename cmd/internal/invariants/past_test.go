package invariants_test

import (
	"strings"
	"testing"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/replay"
)

// What went wrong later is not found at an earlier moment, and what only other servers know is named as not checked.
func TestCheckAtAMomentIgnoresLaterEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.sold("o1")
	good, err := s.reader.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.adjustedWrongly("MUG")
	for sequence, ok := range map[uint64]bool{good: true, good + 1: false} {
		at, err := s.reader.At(t.Context(), replay.Moment{Sequence: sequence})
		if err != nil {
			t.Fatal(err)
		}
		report, err := invariants.Check(t.Context(), invariants.Options{Log: s.reader, At: at, StripeKey: "sk", StripeURL: "http://127.0.0.1:1", Mail: "http://127.0.0.1:1"})
		if err != nil || report.OK != ok || report.At == nil || report.Counts.Events != sequence {
			t.Errorf("at %d: got %+v, %v; want ok: %t", sequence, report, err, ok)
		}
		for _, c := range report.Checks {
			if c.Invariant == invariants.CapturedOnce && !strings.Contains(c.Skipped, "Stripe") {
				t.Errorf("at %d: got %+v, want Stripe named as not checked", sequence, c)
			}
		}
	}
}

// adjustedWrongly appends an entry whose balance does not follow from the one before.
func (s *shop) adjustedWrongly(sku string) {
	wrong := s.movement(sku, 1, 5, 5, 0)
	s.publish(events.PrefixStock+sku, events.StockAdjusted{StockMovement: wrong, Reason: "received"})
}
