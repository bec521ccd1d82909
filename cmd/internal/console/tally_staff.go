package console

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// staffTally is what staff did that the overview shows, from the whole log.
type staffTally struct {
	unapproved map[string]unapprovedReplay // by id: large replays without an approval
	backup     takenBackup
}

// unapprovedReplay is a replay that needs a second person.
type unapprovedReplay struct {
	ID, By, Reason string
	Events         int
	At             time.Time
	stopped        bool // no approval is needed until it is resumed
}

// takenBackup is a backup; the zero value means that there is none.
type takenBackup struct {
	At          time.Time
	By, Outcome string
}

// readStaff reads what staff did before the part of the log that is counted. The caller holds the lock.
func (t *tally) readStaff(ctx context.Context) error {
	part := replay.Range{Subjects: []string{events.PrefixAction + "*", events.PrefixReplay + "*"}}
	return t.config.Log.Each(ctx, part, func(m replay.Message) error {
		if e, err := m.Event(); err == nil && !m.Voided() {
			t.staff.observe(e)
		}
		return nil
	})
}

// observe adds an event. Seeing events again in their order changes nothing.
func (s *staffTally) observe(e events.Event) {
	id, _ := events.ParseSubject(events.PrefixReplay, e.Subject)
	one, waits := s.unapproved[id]
	switch p := e.Payload.(type) {
	case events.ActionRecorded:
		if p.Action == "backup" && !strings.HasPrefix(p.Outcome, "failed") {
			s.backup = takenBackup{At: e.Time, By: e.Actor, Outcome: p.Outcome}
		}
		return
	case events.ReplayRequested:
		one, waits = unapprovedReplay{ID: id, By: e.Actor, Reason: p.Reason, Events: p.Events, At: e.Time}, p.NeedsApproval
	case events.ReplayApproved:
		delete(s.unapproved, id)
		return
	case events.ReplayStopped:
		one.stopped = true
	case events.ReplayResumed:
		one.stopped = false
	}
	if !waits {
		return
	}
	if s.unapproved == nil {
		s.unapproved = map[string]unapprovedReplay{}
	}
	s.unapproved[id] = one
}

// waitingReplays returns the replays that wait for a second person, oldest first.
func (t *tally) waitingReplays() []unapprovedReplay {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := slices.DeleteFunc(slices.Collect(maps.Values(t.staff.unapproved)), func(r unapprovedReplay) bool { return r.stopped })
	slices.SortFunc(waiting, func(a, b unapprovedReplay) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return waiting
}

// lastBackup returns the newest backup.
func (t *tally) lastBackup() takenBackup {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.staff.backup
}
