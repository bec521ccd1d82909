package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"tillstream/events"
	"tillstream/events/replay"
)

// repairPage is the data of repair.html.
type repairPage struct {
	State workState[replay.RepairReport]
}

// showRepair shows how log and archive, the two copies of the events, differ.
func (c *console) showRepair(w http.ResponseWriter, r *http.Request) error {
	data := repairPage{State: c.work.repair.get()}
	return c.showWork(w, r, "repair.html", page{Title: "Log and archive", Command: "ops repair", Data: data}, data.State.Running)
}

// compareCopies compares log and archive, and changes nothing.
func (c *console) compareCopies(r *http.Request, author events.Author) (outcome, error) {
	err := c.work.repair.start(r.Context(), author.Actor, "comparing log and archive", func(ctx context.Context, report progress) (replay.RepairReport, error) {
		return replay.Repair{DB: c.DB, DryRun: true, Log: c.Log, Progress: report}.Run(ctx)
	})
	return outcome{Text: "Comparing log and archive.", To: "/ops/system/repair"}, err
}

// restoreEvents writes into the archive what only the log has. It is refused where the log would have to be written, because then no
// process may run, and the console is one.
func (c *console) restoreEvents(r *http.Request, author events.Author) (outcome, error) {
	if author.Reason == "" {
		return outcome{}, errNoReason
	}
	err := c.work.repair.start(r.Context(), author.Actor, "restoring events", func(ctx context.Context, report progress) (replay.RepairReport, error) {
		found, err := replay.Repair{DB: c.DB, DryRun: true, Log: c.Log, Progress: report}.Run(ctx)
		if err == nil {
			err = restorable(found)
		}
		if err == nil {
			found, err = replay.Repair{DB: c.DB, Log: c.Log, Progress: report}.Run(ctx)
		}
		return found, c.recorded(ctx, author, events.ActionRecorded{Action: "repair", Outcome: repaired(found)}, err)
	})
	return outcome{Text: "Restoring what the archive lacks.", To: "/ops/system/repair"}, err
}

// errLogLacks is the refusal to write the log while the console runs on it.
var errLogLacks = errors.New("the log lacks events, or lanes are ahead of it: stop every process, this console too, or start the shop with --closed; then run ops repair --yes in the terminal")

// restorable returns errLogLacks where a repair would write the log or set lanes back. [replay.Repair] refuses that only while a lane
// has a process, and the console runs no lane.
func restorable(found replay.RepairReport) error {
	inLog := found.LogLost.Count + found.Superseded.Count + found.Damaged.Count + found.LostInBoth.Count
	if inLog > 0 || found.Diverged || found.Interrupted || len(found.LanesAhead) > 0 {
		return errLogLacks
	}
	return nil
}

// repaired says for the audit what a repair has restored.
func repaired(found replay.RepairReport) string {
	return fmt.Sprintf("%d restored in the archive, %d in the log", found.ArchiveLost.Count, found.LogLost.Count+found.Damaged.Count)
}
