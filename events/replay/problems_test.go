package replay_test

import (
	"slices"
	"testing"
	"time"

	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// codes returns the codes of the problems at a time.
func (s *shop) codes(now time.Time) (codes []string) {
	s.t.Helper()
	o, err := s.Overview(s.t.Context(), now)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range o.Problems {
		codes = append(codes, p.Code)
	}
	return codes
}

// A lane is behind when an event has waited for a minute, not while it is being handled; the age of an audit counts after two days.
func TestOverviewReportsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if got := s.codes(time.Now()); len(got) > 0 {
		t.Errorf("an empty shop: got %q, want nothing", got)
	}
	twoOrders(s)
	if err := s.log.SaveCheckpoint(t.Context(), &eventlog.Checkpoint{Lane: "orders", Position: 3}); err != nil {
		t.Fatal(err)
	}
	lease, ok, err := s.log.Acquire(t.Context(), "orders", "shop")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := replay.SaveAudit(t.Context(), s.log, replay.AuditReport{At: time.Now(), Events: 6}); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration][]string{0: nil, 2 * time.Minute: {replay.ProblemBehind}, 72 * time.Hour: {replay.ProblemBehind, replay.ProblemAuditOld}} {
		if err := s.log.Renew(t.Context(), &lease); err != nil {
			t.Fatal(err)
		}
		if got := s.codes(time.Now().Add(after)); !slices.Equal(got, want) {
			t.Errorf("after %s: got %q, want %q", after, got, want)
		}
	}
	if err := s.log.Release(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	s.deleteMessages(2)
	if got, want := s.codes(time.Now()), []string{replay.ProblemGap, replay.ProblemFree}; !slices.Equal(got, want) {
		t.Errorf("with a gap and without a process: got %q, want %q", got, want)
	}
}
