package console

import (
	"fmt"
	"net/http"
	"slices"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// topologyPage is the data of topology.html.
type topologyPage struct {
	Known       int // by this release
	State       eventlog.TopologyState
	Processes   []eventlog.Process
	Differences []eventlog.Difference
	Lacks       bool // the broker lacks something that can be added
	Drift       bool // settings differ, which staff change by hand
}

// showTopology compares the broker with what this release needs.
func (c *console) showTopology(w http.ResponseWriter, r *http.Request) (err error) {
	data, l := topologyPage{Known: events.Topology}, c.Log.Log()
	if data.State, err = l.TopologyState(r.Context()); err != nil {
		return err
	}
	if data.Processes, err = l.Processes(r.Context()); err != nil {
		return err
	}
	if data.Differences, err = l.Differences(r.Context()); err != nil {
		return err
	}
	data.Lacks = slices.ContainsFunc(data.Differences, func(d eventlog.Difference) bool { return d.Added != "" })
	data.Drift = slices.ContainsFunc(data.Differences, func(d eventlog.Difference) bool { return d.Drift != "" })
	return c.showWork(w, r, "topology.html", page{Title: "Topology", Command: "ops topology", Data: data}, false)
}

// applyTopology adds to the broker what it lacks.
func (c *console) applyTopology(r *http.Request, author events.Author) (outcome, error) {
	if author.Reason == "" {
		return outcome{}, errNoReason
	}
	done := fmt.Sprintf("the broker is set up for topology %d", events.Topology)
	action := events.ActionRecorded{Action: "topology --apply", Outcome: done}
	if err := c.recorded(r.Context(), author, action, c.Log.Log().Upgrade(r.Context())); err != nil {
		return outcome{}, err
	}
	return outcome{Text: "The " + done[len("the "):] + ".", Link: recordedLink, To: "/ops/system/topology"}, nil
}

// recordedLink leads to the actions that leave no other event in the log.
var recordedLink = anchor{"What the audit says", "/ops/audit?type=ops.action_recorded"}
