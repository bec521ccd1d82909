package main

import (
	"context"
	"fmt"
	"time"

	"tillstream/cmd/internal/attach"
	"tillstream/events/replay"
)

// lag is ops lag.
type lag struct {
	attach.Target `embed:""`
	JSON          bool `name:"json" help:"Write JSON."`
}

// Help is shown by ops lag --help.
func (lag) Help() string {
	return `One line per durable consumer. PENDING waits at the broker, UNACKED is being handled, AGAIN was delivered before and is not done yet. A view (loop "remember") that is behind delays lists and searches, not sales. Not ACTIVE means that no process is at work on it; paused, that somebody ran ops pause and ops resume ends it, or that a rebuild holds a view for a moment.`
}

// Run shows how far each worker is behind.
func (c *lag) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	reader, stop, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	consumers, err := reader.Consumers(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return out.json(map[string]any{"consumers": consumers})
	}
	if len(consumers) == 0 {
		return out.printf("no worker has ever run on this broker")
	}
	return writeLag(consumers, out)
}

func writeLag(consumers []replay.Consumer, out *terminal) error {
	t := newTable("STREAM", "WORKER", "LOOP", "PENDING>", "UNACKED>", "AGAIN>", "ACTIVE", "LAST DONE")
	for _, c := range consumers {
		t.add(lagRow(c)...)
	}
	return t.write(out)
}

func lagRow(c replay.Consumer) []any {
	active, last := cell{"yes", green}, "never"
	switch {
	case c.Paused != nil && c.Paused.Equal(replay.UntilResumed):
		active = cell{"paused", yellow}
	case c.Paused != nil:
		active = cell{"paused until " + c.Paused.Local().Format("2006-01-02 15:04:05"), yellow}
	case !c.Active:
		active = cell{"no", red}
	}
	if c.LastAck != nil {
		last = time.Since(*c.LastAck).Round(time.Second).String() + " ago"
	}
	behind := plain
	if c.Lag() > 0 {
		behind = yellow
	}
	return []any{c.Stream, cell{c.Name, bold}, string(c.Loop), cell{count(c.Pending), behind}, cell{fmt.Sprint(c.Unacked), behind},
		fmt.Sprint(c.Redelivered), active, cell{last, dim}}
}
