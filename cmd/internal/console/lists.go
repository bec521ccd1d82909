package console

import (
	"context"
	"net/http"
	"slices"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/projections"
	"tillstream/events"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// listsPage is the data of lists.html.
type listsPage struct {
	Names []string // of the projections and their collections
	All   string   // the name that means all of them
	State workState[[]project.RebuildReport]
}

// Drifted is the number of documents and indexes that differ from the log.
func (p listsPage) Drifted() int { return projections.Drifted(*p.State.Result) }

// Written reports whether the newest result is that of a rebuild, which is in the audit.
func (p listsPage) Written() bool {
	return slices.ContainsFunc(*p.State.Result, func(r project.RebuildReport) bool { return r.Written })
}

// showLists shows the projections, from which lists and searches are read, and how they differed from the log.
func (c *console) showLists(w http.ResponseWriter, r *http.Request) error {
	data := listsPage{All: replay.Projections, State: c.work.rebuild.get()}
	for _, p := range projections.All() {
		data.Names = append(data.Names, p.Name)
		for _, collection := range p.Collections {
			data.Names = append(data.Names, collection.Name)
		}
	}
	return c.showWork(w, r, "lists.html", page{Title: "Lists", Command: "ops rebuild projections --dry-run", Data: data}, data.State.Running)
}

// compareLists compares projections with the log, and changes nothing.
func (c *console) compareLists(r *http.Request, author events.Author) (outcome, error) {
	name := r.PostForm.Get("projection")
	choices, err := projections.Choose(name)
	if err != nil {
		return outcome{}, err
	}
	err = c.work.rebuild.start(r.Context(), author.Actor, "comparing "+name+" with the log", func(ctx context.Context, report progress) ([]project.RebuildReport, error) {
		return projections.Rebuild{DB: c.DB, DryRun: true, Log: c.Log.Log(), Progress: report}.Run(ctx, choices)
	})
	return outcome{Text: "Comparing " + name + " with the log.", To: "/ops/system/lists"}, err
}

// rebuildLists compares projections with the log and writes what differs.
func (c *console) rebuildLists(r *http.Request, author events.Author) (outcome, error) {
	name := r.PostForm.Get("projection")
	if author.Reason == "" {
		return outcome{}, errNoReason
	}
	choices, err := projections.Choose(name)
	if err != nil {
		return outcome{}, err
	}
	err = c.work.rebuild.start(r.Context(), author.Actor, "rebuilding "+name+" from the log", func(ctx context.Context, report progress) ([]project.RebuildReport, error) {
		reports, err := projections.Rebuild{DB: c.DB, Log: c.Log.Log(), Progress: report}.Run(ctx, choices)
		return reports, c.recorded(ctx, author, events.ActionRecorded{Action: "rebuild", Arguments: []string{name},
			Outcome: output.Number(projections.Drifted(reports)) + " documents and indexes written"}, err)
	})
	return outcome{Text: "Rebuilding " + name + ".", To: "/ops/system/lists"}, err
}
