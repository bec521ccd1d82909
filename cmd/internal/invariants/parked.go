package invariants

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"tillstream/events"
	"tillstream/events/replay"
)

// Parked names a message that a worker set aside.
type Parked struct {
	Worker   string // the durable consumer
	Stream   string
	Sequence uint64 // in Stream
}

// String writes it as [ParseParked] reads it.
func (p Parked) String() string { return fmt.Sprintf("%s:%s/%d", p.Worker, p.Stream, p.Sequence) }

// ParseParked reads "worker:STREAM/sequence".
func ParseParked(text string) (Parked, error) {
	worker, rest, ok := strings.Cut(text, ":")
	stream, number, ok2 := strings.Cut(rest, "/")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if !ok || !ok2 || err != nil || worker == "" || stream == "" {
		return Parked{}, fmt.Errorf("%q: want WORKER:STREAM/SEQUENCE, such as inventory-orders:ORDERS/17", text)
	}
	return Parked{Worker: worker, Stream: stream, Sequence: sequence}, nil
}

// checkParked is I8: what is parked and what was expected to be must be the same.
func (c *checker) checkParked(ctx context.Context) error {
	expected := map[Parked]int{}
	for _, p := range c.ExpectedParked {
		expected[p]++
	}
	count := 0
	err := c.Log.EachParked(ctx, c.last[events.StreamParked], func(p replay.Parked) {
		count++
		key := Parked{Worker: p.Worker, Stream: p.Stream, Sequence: p.EventParked.Sequence}
		if expected[key] > 0 {
			expected[key]--
			return
		}
		c.report.Findings = append(c.report.Findings, Finding{Invariant: NothingParked, Subject: fmt.Sprintf("%s/%d", events.StreamParked, p.Sequence),
			Detail: fmt.Sprintf("%s set %s aside (%s): %s", p.Worker, p.Origin(), p.Subject, p.Error)})
	})
	if err != nil {
		return err
	}
	for key, left := range expected {
		if left > 0 {
			c.report.Findings = append(c.report.Findings, Finding{Invariant: NothingParked, Subject: key.String(), Detail: "was expected to be parked and is not"})
		}
	}
	c.report.Counts.Parked = count
	c.scopes[NothingParked] = fmt.Sprintf("%d parked, %d expected", count, len(c.ExpectedParked))
	return nil
}
