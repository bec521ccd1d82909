package incident

import (
	"context"
	"fmt"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/events"
	"tillstream/events/replay"
)

// Conclude checks the shop after the last purchase has ended, and prints what staff did. redriven says that the incident needed
// staff: then the log must name them.
func (i *Incident) Conclude(ctx context.Context, redriven bool) error {
	confirmed, failed := i.Sales()
	if failed > 0 {
		return fmt.Errorf("%w: %s", ErrUnexpected, output.Count(failed, "failed purchase"))
	}
	if err := i.step("No shopper waits any more: %s confirmed, none failed.", output.Count(confirmed, "order")); err != nil {
		return err
	}
	for _, check := range []func(context.Context) error{i.mailedOnce, i.nothingOpen, func(ctx context.Context) error { return i.audit(ctx, redriven) }} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	if _, err := i.ops(ctx, 0, "verify", "--wait", "1m"); err != nil {
		return err
	}
	return i.step("Verdict: nothing was lost, nothing was done twice.")
}

// nothingOpen expects that no dead letter is open.
func (i *Incident) nothingOpen(ctx context.Context) error {
	causes, err := i.causes(ctx)
	if err == nil && len(causes) > 0 {
		err = fmt.Errorf("%w: open dead letters %+v, want none", ErrUnexpected, causes)
	}
	return err
}

// audit prints the events that staff caused since the beginning: when, who, what, why and from where. Equal ones share a line.
func (i *Incident) audit(ctx context.Context, redriven bool) error {
	type act struct{ actor, typ, reason, via string }
	var acts []act
	count, first := map[act]int{}, map[act]time.Time{}
	err := i.reader.Each(ctx, replay.Range{From: i.from + 1}, func(m replay.Message) error {
		e, err := m.Event()
		if err != nil || !events.IsStaff(e.Actor) {
			return err
		}
		a := act{e.Actor, e.Type, e.Reason, e.Via}
		if count[a]++; count[a] == 1 {
			acts, first[a] = append(acts, a), e.Time
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := i.step("What staff did, as the log says:"); err != nil {
		return err
	}
	explained := false
	for _, a := range acts {
		explained = explained || a.typ == events.RedeliveryRequested{}.EventType() && a.reason != "" && a.via != ""
		if _, err := fmt.Fprintf(i.out, "%s  %s, %s: %s (%d×)\n          why: %s\n", first[a].Local().Format(time.TimeOnly), a.actor, a.via, a.typ, count[a], a.reason); err != nil {
			return err
		}
	}
	if redriven && !explained {
		return fmt.Errorf("%w: the log does not say who requested the redrive, why and from where: %+v", ErrUnexpected, acts)
	}
	if len(acts) == 0 {
		_, err = fmt.Fprintln(i.out, "nothing")
	}
	return err
}
