package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"tillstream/cmd/internal/dryrun"
	"tillstream/events/worker"
)

// dryRunResult is what redriving one dead letter would do.
type dryRunResult struct {
	Number         uint64 `json:"number"`
	Lane           string `json:"lane"`
	Sequence       uint64 `json:"sequence"`
	worker.Effects `json:"effects"`
}

// dryRun shows what redriving dead letters would do now. It returns errProblem if one would fail again.
func dryRun(ctx context.Context, found selected, asJSON bool, out *terminal) error {
	dispatcher, err := dryrun.Dispatcher(found.reader.Log(), found.shop.StripeSecretKey)
	if err != nil {
		return err
	}
	wrong, results := false, []dryRunResult{}
	for _, d := range found.letters {
		messages, err := found.reader.Events(ctx, d)
		if err != nil {
			return fmt.Errorf("dry run of dead letter %d: %w", d.Number, err)
		}
		for _, m := range messages {
			effects, err := dispatcher.Dispatch(ctx, worker.Delivery{Item: &worker.Item{Message: m}, Lane: d.Worker, Attempt: d.Attempt + 1}, true)
			if err != nil {
				return fmt.Errorf("dry run of dead letter %d: %w", d.Number, err)
			}
			wrong = wrong || len(effects.Failures) > 0
			results = append(results, dryRunResult{d.Number, d.Worker, m.Sequence, effects})
		}
	}
	return out.answer(asJSON, map[string]any{"dead_letters": results}, func() error { return writeDryRun(results, out) }, wrong)
}

func writeDryRun(results []dryRunResult, out *terminal) error {
	if len(results) == 0 {
		return out.printf("no open dead letters")
	}
	for _, r := range results {
		if err := r.write(out); err != nil {
			return err
		}
	}
	return nil
}

func (r dryRunResult) write(out *terminal) error {
	return writeEffects(out, fmt.Sprint(r.Number), fmt.Sprintf("%s would handle event %d again:", r.Lane, r.Sequence), r.Effects)
}

// writeEffects shows what handling an event again would do.
func writeEffects(out *terminal, name, title string, effects worker.Effects) error {
	problems := []error{out.item(cell{name, bold}, title)}
	item := func(name string, s style, e worker.Effect, text string) {
		problems = append(problems, out.item(cell{"  " + name, s}, fmt.Sprintf("%s: %s on %s%s", e.Handler, cmp.Or(e.Type, "(no event)"), e.Subject, text)))
	}
	for _, e := range effects.Facts {
		item("append", green, e.Effect, "")
	}
	for _, e := range effects.Acts {
		item("act   ", cyan, e, "")
	}
	for _, e := range effects.Done {
		item("done  ", plain, e.Effect, ": "+e.What)
	}
	for _, f := range effects.Failures {
		item("fail  ", red, f.Effect, ": "+f.Error)
	}
	if effects.Nothing() && len(effects.Done) == 0 {
		problems = append(problems, out.printf("  nothing: the event was handled before"))
	}
	return errors.Join(problems...)
}
