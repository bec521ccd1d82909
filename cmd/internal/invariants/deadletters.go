package invariants

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"tillstream/events/replay"
)

// DeadLetter names an event that a lane could not handle.
type DeadLetter struct {
	Lane     string
	Sequence uint64 // of the event in the log
}

// String writes it as [ParseDeadLetter] reads it.
func (d DeadLetter) String() string { return fmt.Sprintf("%s:%d", d.Lane, d.Sequence) }

// ParseDeadLetter reads "lane:sequence".
func ParseDeadLetter(text string) (DeadLetter, error) {
	lane, number, ok := strings.Cut(text, ":")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || lane == "" {
		return DeadLetter{}, fmt.Errorf("%q: want LANE:SEQUENCE, such as inventory:17", text)
	}
	return DeadLetter{Lane: lane, Sequence: sequence}, nil
}

// checkDeadLetters is I8: the dead letters are those that were expected.
func (c *checker) checkDeadLetters(ctx context.Context) error {
	expected := map[DeadLetter]int{}
	for _, d := range c.ExpectedDead {
		expected[d]++
	}
	count := 0
	err := c.eachDeadLetter(ctx, func(d replay.DeadLetter) {
		count++
		key := DeadLetter{Lane: d.Worker, Sequence: d.Sequence}
		if expected[key] > 0 {
			expected[key]--
			return
		}
		c.report.Findings = append(c.report.Findings, Finding{Invariant: NoDeadLetters, Subject: "dead letter " + key.String(),
			Detail: fmt.Sprintf("%s could not handle %s at %d: %s", d.Worker, d.Subject, d.Sequence, d.Error)})
	})
	if err != nil {
		return err
	}
	for key, left := range expected {
		if left > 0 {
			c.report.Findings = append(c.report.Findings, Finding{Invariant: NoDeadLetters, Subject: "dead letter " + key.String(), Detail: "was expected and is not there"})
		}
	}
	c.report.Counts.DeadLetters = count
	c.scopes[NoDeadLetters] = fmt.Sprintf("%d dead letters, %d expected", count, len(c.ExpectedDead))
	return nil
}

// eachDeadLetter reads those that were there when the check began.
func (c *checker) eachDeadLetter(ctx context.Context, fn func(replay.DeadLetter)) error {
	if c.dead == 0 {
		return nil
	}
	return c.Log.EachDeadLetter(ctx, c.dead, fn)
}
