package feed

import "testing"

func TestTheSequencerTakesOnlyWhatFollows(t *testing.T) {
	t.Parallel()
	a, b, again := era{pin: "a"}, era{pin: "b"}, era{pin: "a", reconnects: 1}
	var s sequencer
	for i, step := range []struct {
		era    era
		number uint64
		want   verdict
	}{
		{a, 1, startOver}, // nobody knows what was delivered before
		{a, 2, skip},      // was on the way
		{a, 1, take},
		{a, 2, take},
		{a, 4, startOver}, // 3 is missing
		{a, 5, skip},
		{a, 1, take},
		{b, 2, startOver}, // somebody else was active in between
		{b, 3, skip},
		{a, 7, startOver}, // and again, before the start-over took effect
		{a, 1, take},
		{again, 2, startOver}, // the connection broke: 2 may be the second 2
		{again, 1, take},
		{again, 2, take},
	} {
		if got := s.judge(step.era, step.number); got != step.want {
			t.Fatalf("step %d: number %d: got %d, want %d", i, step.number, got, step.want)
		}
	}
}
