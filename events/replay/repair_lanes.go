package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"tillstream/events/archive"
	eventlog "tillstream/events/log"
)

// findAhead finds the lanes whose checkpoint lies beyond what the log holds, or held before it went back and on: what they
// note down of the events there is of another time. A lane that went on from it would pass over the events that come there.
func (r Repair) findAhead(ctx context.Context, c *copies) error {
	checkpoints, err := r.Log.log.Checkpoints(ctx)
	if err != nil {
		return err
	}
	if c.known, err = r.Log.Last(ctx); err != nil { // after the checkpoints: a lane is never ahead of the log
		return err
	}
	if fork := c.fork(); fork > 0 {
		c.known = fork - 1
	}
	for _, checkpoint := range checkpoints {
		if checkpoint.Lane != archive.Lane && max(checkpoint.Position, checkpoint.Read) > c.known { // the archive goes by its head
			c.ahead = append(c.ahead, checkpoint)
			c.report.LanesAhead = append(c.report.LanesAhead, checkpoint.Lane)
		}
	}
	slices.Sort(c.report.LanesAhead)
	return nil
}

// setBack has the lanes that are ahead begin again where the log is as they knew it. What they have done already they do
// again, to no effect.
func (r Repair) setBack(ctx context.Context, c *copies) error {
	for _, checkpoint := range c.ahead {
		checkpoint.Position, checkpoint.Read = min(checkpoint.Position, c.known), min(checkpoint.Read, c.known)
		if err := dropOpen(&checkpoint, c.known); err != nil {
			return err
		}
		if err := r.Log.log.SaveCheckpoint(ctx, &checkpoint); err != nil {
			return err
		}
	}
	return nil
}

// dropOpen takes open acts out of a lane's state that are about events behind a sequence.
func dropOpen(c *eventlog.Checkpoint, known uint64) error {
	if len(c.State) == 0 {
		return nil
	}
	var open []json.RawMessage
	if err := json.Unmarshal(c.State, &open); err != nil {
		return fmt.Errorf("read the open acts of %s: %w", c.Lane, err)
	}
	var unreadable error
	open = slices.DeleteFunc(open, func(raw json.RawMessage) bool {
		var o OpenAct
		if err := json.Unmarshal(raw, &o); err != nil {
			unreadable = fmt.Errorf("read the open acts of %s: %w", c.Lane, err)
		}
		return o.Sequence > known
	})
	if unreadable != nil {
		return unreadable
	}
	var err error
	c.State, err = json.Marshal(open)
	return err
}
