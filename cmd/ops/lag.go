package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// lag is ops lag.
type lag struct {
	target.Target `embed:""`
	JSON          bool `name:"json" help:"Write JSON."`
}

// Help is shown by ops lag --help.
func (lag) Help() string {
	return `One line per lane. POSITION is the sequence in the log up to which a lane has come, LAG how many events it has not read yet, OPEN how many acts (calls to Stripe, mails) have begun and not ended. A lane notes its position down about once a second. A projection that is behind delays lists and searches, not sales.

STATE is "at work"; "free" when no process runs the lane; "paused" when ops pause stopped it, until ops resume; or "on hold" when its destination takes nothing, which it tries again by itself.`
}

// Run shows how far each lane is behind.
func (c *lag) Run(ctx context.Context, out *terminal) error {
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	lanes, err := reader.Lanes(ctx)
	if err != nil {
		return err
	}
	return writeLanes(lanes, c.JSON, out)
}

func writeLanes(lanes []replay.Lane, asJSON bool, out *terminal) error {
	if asJSON {
		return out.json(map[string]any{"lanes": append([]replay.Lane{}, lanes...)})
	}
	if len(lanes) == 0 {
		return out.printf("no lane has ever run on this broker")
	}
	t := newTable("LANE", "KIND", "HOLDER", "POSITION>", "LAG>", "OPEN>", "STATE")
	for _, l := range lanes {
		behind := plain
		if l.Lag > 0 {
			behind = yellow
		}
		t.add(cell{l.Name, bold}, string(l.Kind), cell{holder(l.Holder), dim}, count(l.Position), cell{count(l.Lag), behind}, fmt.Sprint(len(l.Open)), laneState(l))
	}
	if err := t.write(out); err != nil {
		return err
	}
	for _, l := range lanes {
		if l.Hold != "" {
			if err := out.item(cell{l.Name, yellow}, l.Hold); err != nil {
				return err
			}
		}
		if l.Until != nil {
			if err := out.item(cell{l.Name, yellow}, "paused until "+l.Until.Local().Format(time.DateTime)); err != nil {
				return err
			}
		}
	}
	return nil
}

// holder shortens a random name of a process.
func holder(name string) string {
	const enough = 8
	if uuid.Validate(name) == nil {
		return name[:enough]
	}
	return cut(name, enough)
}

func laneState(l replay.Lane) cell {
	switch {
	case l.Paused:
		return cell{"paused", yellow}
	case l.Holder == "":
		return cell{"free", red}
	case l.Hold != "":
		return cell{"on hold", red}
	}
	return cell{"at work", green}
}
