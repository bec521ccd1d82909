package invariants

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"tillstream/cmd/internal/output"
	"tillstream/events/replay"
)

// DeadLetter names an event that a lane could not handle.
type DeadLetter struct {
	Lane     string
	Sequence uint64 // of the event in the log
}

// String returns the form that [ParseDeadLetter] reads, such as inventory:17.
func (d DeadLetter) String() string { return fmt.Sprintf("%s:%d", d.Lane, d.Sequence) }

// ParseDeadLetter parses LANE:SEQUENCE.
func ParseDeadLetter(text string) (DeadLetter, error) {
	lane, number, ok := strings.Cut(text, ":")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || lane == "" {
		return DeadLetter{}, fmt.Errorf("%q: want LANE:SEQUENCE, such as inventory:17", text)
	}
	return DeadLetter{Lane: lane, Sequence: sequence}, nil
}

// checkDeadLetters is I8: every open dead letter is expected, and every expected one exists. Dead letters that were redriven
// or discarded are settled.
func (c *checker) checkDeadLetters(ctx context.Context) error {
	expected := map[DeadLetter]int{}
	for _, d := range c.ExpectedDeadLetters {
		expected[d]++
	}
	letters, err := c.deadLetters(ctx)
	if err != nil {
		return err
	}
	open := 0
	for _, d := range letters {
		key := DeadLetter{Lane: d.Worker, Sequence: d.Sequence}
		if d.State == replay.StateOpen {
			open++
		}
		switch {
		case expected[key] > 0:
			expected[key]--
		case d.State == replay.StateOpen:
			c.report.Findings = append(c.report.Findings, Finding{Invariant: NoDeadLetters, Subject: "dead letter " + key.String(),
				Detail: fmt.Sprintf("%s could not handle %s at sequence %d: %s (ops deadletters show %d)", d.Worker, d.Subject, d.Sequence, d.Error, d.Number)})
		}
	}
	for key, left := range expected {
		if left > 0 {
			c.report.Findings = append(c.report.Findings, Finding{Invariant: NoDeadLetters, Subject: "dead letter " + key.String(), Detail: "is expected but does not exist"})
		}
	}
	c.report.Counts.DeadLetters = open
	c.scopes[NoDeadLetters] = fmt.Sprintf("%s, %s open, %s expected", output.Count(len(letters), "dead letter"), output.Number(open), output.Number(len(c.ExpectedDeadLetters)))
	return nil
}

// deadLetters returns the dead letters as they were at the moment, or when the check began.
func (c *checker) deadLetters(ctx context.Context) ([]replay.DeadLetter, error) {
	switch {
	case c.dead == 0:
		return nil, nil
	case c.past():
		return c.Log.DeadLettersAt(ctx, c.At.Time)
	}
	return c.Log.DeadLetters(ctx, c.dead)
}
