package incident

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events/replay"
)

// brokenWorker is the worker of which a bad release is deployed.
const brokenWorker = "orders"

// broken is the difference of the bad release: it looks for the sales channel of an order, which no order has. The text of its
// error contains ids, so that no two errors are equal.
var broken = proc.Edit{File: "orders/worker.go",
	From: `		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentCaptured) error {
			return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.PaymentCaptured(p.Amount, p.More) })
`,
	To: `		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentCaptured) error {
			return fmt.Errorf("book payment %s: sales channel of order %s: %w", p.PaymentID, p.OrderID, eventlog.ErrNotFound)
`}

// BuildBroken builds the programs of the bad release into a directory.
func BuildBroken(ctx context.Context, dir string) error {
	return proc.BuildEdited(ctx, dir, []proc.Edit{broken}, "tillstream/cmd/"+brokenWorker)
}

// BadRelease deploys the release in the directory bad, waits until it has caused a number of dead letters, deploys the previous
// release again, and redrives the dead letters. Their shoppers wait during all of it.
func (i *Incident) BadRelease(ctx context.Context, bad string, letters int) error {
	if err := i.deploy(ctx, bad); err != nil {
		return err
	}
	began := time.Now()
	if err := i.step("Both processes of %s run a new release. It has a bug.", brokenWorker); err != nil {
		return err
	}
	if err := i.awaitLetters(ctx, letters); err != nil {
		return err
	}
	if err := i.step("After %s: %s; %d shoppers wait.", time.Since(began).Round(time.Second), output.Count(letters, "dead letter"), i.Waiting()); err != nil {
		return err
	}
	cause, err := i.investigate(ctx)
	if err != nil {
		return err
	}
	if err := i.deploy(ctx, i.Programs); err != nil {
		return err
	}
	if err := i.step("Both processes run the fixed release. The bug was live for %s.", time.Since(began).Round(time.Second)); err != nil {
		return err
	}
	if err := i.sells(ctx, 5); err != nil {
		return err
	}
	return i.redrive(ctx, cause)
}

// deploy replaces the processes of the worker one by one.
func (i *Incident) deploy(ctx context.Context, programs string) error {
	for _, r := range i.workers(brokenWorker) {
		if err := i.Shop.Deploy(ctx, r, programs); err != nil {
			return err
		}
	}
	return nil
}

// awaitLetters waits until there is a number of dead letters.
func (i *Incident) awaitLetters(ctx context.Context, letters int) error {
	return i.grows(ctx, "dead letters", func(ctx context.Context) (have, want int, err error) {
		last, err := i.reader.LastDeadLetter(ctx)
		return int(last), letters, err
	})
}

// investigate is what staff do when the alert fires. All dead letters must have one cause.
func (i *Incident) investigate(ctx context.Context) (replay.Cause, error) {
	if err := i.alarm(ctx, brokenWorker, "dead_letters", `tillstream_lane_open_dead_letters{lane="`+brokenWorker+`"}`); err != nil {
		return replay.Cause{}, err
	}
	causes, err := i.causes(ctx)
	if err != nil {
		return replay.Cause{}, err
	}
	if len(causes) != 1 || causes[0].Lane != brokenWorker {
		return replay.Cause{}, fmt.Errorf("%w: got causes %+v, want one", ErrUnexpected, causes)
	}
	d, _, err := i.reader.DeadLetterAt(ctx, causes[0].Example)
	if err != nil {
		return replay.Cause{}, err
	}
	m, err := i.reader.Original(ctx, d)
	if err != nil {
		return replay.Cause{}, err
	}
	e, err := m.Event()
	if err != nil {
		return replay.Cause{}, err
	}
	for _, args := range [][]string{{"deadletters", "list"}, {"deadletters", "show", strconv.FormatUint(d.Number, 10)}, {"timeline", e.CorrelationID}} {
		if _, err := i.ops(ctx, 0, args...); err != nil {
			return replay.Cause{}, err
		}
	}
	return causes[0], nil
}

// causes returns the causes of the open dead letters.
func (i *Incident) causes(ctx context.Context) ([]replay.Cause, error) {
	open, err := i.reader.OpenDeadLetters(ctx, replay.Selection{All: true})
	return replay.Causes(open), err
}

// redrive shows what would happen to one event, and has all events of the cause handled again with one command.
func (i *Incident) redrive(ctx context.Context, cause replay.Cause) error {
	causes, err := i.causes(ctx)
	if err != nil {
		return err
	}
	if len(causes) != 1 || causes[0].Fingerprint != cause.Fingerprint {
		return fmt.Errorf("%w: got causes %+v after the fix, want one with the fingerprint %s", ErrUnexpected, causes, cause.Fingerprint)
	}
	if err := i.step("%s. Staff look at one of them, then redrive all.", output.Count(causes[0].Count, "open dead letter")); err != nil {
		return err
	}
	if _, err := i.ops(ctx, 0, "deadletters", "redrive", strconv.FormatUint(cause.Example, 10), "--dry-run"); err != nil {
		return err
	}
	began := time.Now()
	if _, err := i.ops(ctx, 0, "deadletters", "redrive", "--fingerprint", cause.Fingerprint, "--wait", "5m",
		"--reason", "release of "+brokenWorker+" rolled back: it looked for a sales channel"); err != nil {
		return err
	}
	return i.step("%s redriven with one command in %s.", output.Count(causes[0].Count, "event"), time.Since(began).Round(100*time.Millisecond))
}
