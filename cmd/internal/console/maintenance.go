package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// maintenance is the long work about the whole shop, and what of it is kept.
type maintenance struct {
	back     background
	backup   *work[archived]
	payments *work[invariants.Report]
	rebuild  *work[[]project.RebuildReport]
	repair   *work[replay.RepairReport]
	state    *work[archived]
	verify   *work[invariants.Report]
}

func newMaintenance(now func() time.Time) maintenance {
	back := make(background)
	return maintenance{back: back,
		backup:   &work[archived]{name: "A backup", back: back, now: now},
		payments: &work[invariants.Report]{name: "A comparison with Stripe", back: back, now: now},
		rebuild:  &work[[]project.RebuildReport]{name: "A comparison of lists with the log", back: back, now: now},
		repair:   &work[replay.RepairReport]{name: "A comparison of log and archive", back: back, now: now},
		state:    &work[archived]{name: "An export", back: back, now: now},
		verify:   &work[invariants.Report]{name: "A verification", back: back, now: now}}
}

// run runs the work that staff start, until ctx ends, and then removes the copies that were made for download.
func (m maintenance) run(ctx context.Context) {
	m.back.run(ctx)
	for _, w := range []*work[archived]{m.backup, m.state} {
		if made := w.get().Result; made != nil {
			_ = os.RemoveAll(made.Dir) // a directory for temporary files: what is left there is removed by the system
		}
	}
}

func (c *console) maintenanceRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/system/verify", c.view(api.ReadAll, c.showVerification))
	mux.Handle("POST /ops/system/verify", c.act(api.ReadAll, c.startVerification))
	mux.Handle("GET /ops/system/lists", c.view(api.ReadAll, c.showLists))
	mux.Handle("POST /ops/system/lists/compare", c.act(api.ReadAll, c.compareLists))
	mux.Handle("POST /ops/system/lists/rebuild", c.act(api.RepairData, c.rebuildLists))
	mux.Handle("GET /ops/system/repair", c.view(api.ReadAll, c.showRepair))
	mux.Handle("POST /ops/system/repair/compare", c.act(api.ReadAll, c.compareCopies))
	mux.Handle("POST /ops/system/repair/restore", c.act(api.RepairData, c.restoreEvents))
	mux.Handle("GET /ops/system/topology", c.view(api.ReadAll, c.showTopology))
	mux.Handle("POST /ops/system/topology", c.act(api.RepairData, c.applyTopology))
	mux.Handle("GET /ops/system/copies", c.view(api.RepairData, c.showCopies))
	mux.Handle("POST /ops/system/copies/backup", c.act(api.RepairData, c.startBackup))
	mux.Handle("POST /ops/system/copies/state", c.act(api.RepairData, c.startExport))
}

// maintenanceLive registers the event streams of long work.
func (c *console) maintenanceLive(mux *http.ServeMux) {
	mux.HandleFunc("GET /ops/live/work/verify", c.liveWork("verify.html", func() (any, bool) { s := c.work.verify.get(); return verifyPage{State: s}, s.Running }))
	mux.HandleFunc("GET /ops/live/work/lists", c.liveWork("lists.html", func() (any, bool) { s := c.work.rebuild.get(); return listsPage{State: s}, s.Running }))
	mux.HandleFunc("GET /ops/live/work/repair", c.liveWork("repair.html", func() (any, bool) { s := c.work.repair.get(); return repairPage{State: s}, s.Running }))
	mux.HandleFunc("GET /ops/live/work/copies", c.liveWork("copies.html", func() (any, bool) { d := c.copies(); return d, d.Running() }))
}

// systemCrumbs lead from a page of maintenance back to the system.
var systemCrumbs = []anchor{{"System", "/ops/system"}}

// showWork renders a page of maintenance. It is live while the work runs.
func (c *console) showWork(w http.ResponseWriter, r *http.Request, template string, p page, running bool) error {
	p.Nav, p.Crumbs = "System", systemCrumbs
	if running {
		p.Script = "live.js"
	}
	return c.render(w, r, template, p)
}

// errNoReason is the refusal of an action that needs a reason.
var errNoReason = errors.New("please give a reason: it is kept in the audit")

// recorded appends an action that has ended to the audit, with err as the outcome if it failed. It returns err, or why the audit does
// not have the action.
func (c *console) recorded(ctx context.Context, author events.Author, action events.ActionRecorded, err error) error {
	missing := c.Log.RecordEnd(ctx, action, err, author)
	if missing != nil {
		missing = fmt.Errorf("done, but not in the audit: %w", missing)
	}
	return errors.Join(err, missing)
}
