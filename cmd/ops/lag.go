package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// lagCommand is ops lag.
type lagCommand struct {
	target.Target `embed:""`
	JSON          bool `name:"json" help:"Write the lanes as JSON."`
	CSV           bool `name:"csv" help:"Write the lanes as CSV."`
}

// Help is shown by ops lag --help.
func (lagCommand) Help() string {
	return `POSITION is the sequence in the log up to which a lane has handled every event. LAG is the number of events that it has not read yet. OPEN is the number of acts (calls to Stripe, mails) that have begun and not ended. A lane stores its position about once a second. A projection that is behind delays lists and searches, not sales.

STATE is "running"; "free" if no process runs the lane; "paused" from ops pause to ops resume; or "circuit open" while the lane's destination refuses every act. The lane then tries one act from time to time and continues when it succeeds.

The last line says when a process of the shop, or ops verify --deep, last compared log and archive event by event, and the result.

Examples:
  ops lag
  ops lag --json`
}

// Run shows how far each lane is behind.
func (c *lagCommand) Run(ctx context.Context, out *terminal) error {
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	lanes, err := reader.Lanes(ctx)
	if err != nil {
		return err
	}
	audit, err := reader.LastAudit(ctx)
	if err != nil {
		return err
	}
	if c.CSV {
		return laneTable(lanes).csv(out)
	}
	if c.JSON {
		return out.json(map[string]any{"lanes": append([]replay.Lane{}, lanes...), "audit": audit})
	}
	if err := writeLanes(lanes, out); err != nil {
		return err
	}
	return writeAudit(audit, out)
}

// writeAudit writes when log and archive were last compared, and the result.
func writeAudit(audit replay.AuditReport, out *terminal) error {
	if audit.At.IsZero() {
		return out.item(cell{"audit", yellow}, "log and archive were never compared event by event; ops verify --deep does it")
	}
	when := audit.At.Local().Format(time.DateTime)
	if audit.Differences > 0 {
		return out.item(cell{"audit", red}, fmt.Sprintf("%s: log and archive differ in %s of %s; ops verify --deep names them", when,
			output.Count(audit.Differences, "sequence"), output.Number(audit.Events)))
	}
	return out.item(cell{"audit", green}, fmt.Sprintf("%s: log and archive have the same %s", when, output.Count(audit.Events, "event")))
}

func writeLanes(lanes []replay.Lane, out *terminal) error {
	if len(lanes) == 0 {
		return out.printf("no lanes: no process of the shop has run on this broker")
	}
	if err := laneTable(lanes).write(out); err != nil {
		return err
	}
	return writeHolds(lanes, out)
}

func laneTable(lanes []replay.Lane) *table {
	t := newTable("LANE", "KIND", "PROCESS", "POSITION>", "LAG>", "OPEN>", "STATE")
	for _, l := range lanes {
		lag := cell{text: output.Number(l.Lag)}
		if l.Lag > 0 {
			lag.style = yellow
		}
		t.add(cell{l.Name, bold}, string(l.Kind), cell{shortID(l.Holder), dim}, output.Number(l.Position), lag, fmt.Sprint(len(l.Open)), laneState(l))
	}
	return t
}

// writeHolds writes why lanes wait.
func writeHolds(lanes []replay.Lane, out *terminal) error {
	for _, l := range lanes {
		if l.CircuitOpen != "" {
			if err := out.item(cell{l.Name, yellow}, l.CircuitOpen); err != nil {
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

// shortID shortens the random id of a process.
func shortID(id string) string {
	const length = 8
	if uuid.Validate(id) == nil {
		return id[:length]
	}
	return cut(id, length)
}

func laneState(l replay.Lane) cell {
	switch {
	case l.Paused:
		return cell{"paused", yellow}
	case l.Holder == "":
		return cell{"free", red}
	case l.CircuitOpen != "":
		return cell{"circuit open", red}
	}
	return cell{"running", green}
}
