// Package projections lists the projections of all workers and rebuilds them, for the command ops rebuild and for the console.
package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/replay"
	"tillstream/orders"
	"tillstream/payments"
)

// ErrUnknown is returned when no projection or collection has a name.
var ErrUnknown = errors.New("no projection")

// All returns the projections of all workers.
func All() []project.Projection {
	return slices.Concat(orders.Projections(), payments.Projections(slog.New(slog.DiscardHandler)))
}

// Choice is a projection and the names of its collections; none means all of them.
type Choice struct {
	Projection  project.Projection
	Collections []string
}

// Choose returns the projections that a name selects: a projection, a collection, or [replay.Projections] for all. It returns
// [ErrUnknown].
func Choose(name string) (chosen []Choice, err error) {
	var names []string
	for _, p := range All() {
		names = append(names, p.Name)
		if name == p.Name || name == replay.Projections || name == replay.Views {
			chosen = append(chosen, Choice{Projection: p})
		}
		for _, c := range p.Collections {
			names = append(names, c.Name)
			if name == c.Name {
				chosen = append(chosen, Choice{p, []string{name}})
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%w %.80q: want one of %s, or %s for all of them", ErrUnknown, name, strings.Join(names, ", "), replay.Projections)
	}
	return chosen, nil
}

// Rebuild compares projections with the log and, unless it is a dry run, writes what differs. Every choice is a rebuild of its own.
type Rebuild struct {
	DB       *mongo.Database
	DryRun   bool
	Log      *eventlog.Log
	Progress func(stage string, done, total uint64) // default: none
}

// Run rebuilds the choices one after the other. It returns the reports of those that have ended, also with an error.
func (r Rebuild) Run(ctx context.Context, choices []Choice) ([]project.RebuildReport, error) {
	reports := []project.RebuildReport{}
	for _, choice := range choices {
		one := project.Rebuild{Collections: choice.Collections, DB: r.DB, DryRun: r.DryRun, Log: r.Log, Projection: choice.Projection, Progress: r.Progress}
		report, err := one.Run(ctx)
		if err != nil {
			return reports, fmt.Errorf("rebuild %s: %w", choice.Projection.Name, err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// Drifted returns the number of documents and indexes in which the reports differ from the log.
func Drifted(reports []project.RebuildReport) (n int) {
	for _, r := range reports {
		n += r.Drifted()
	}
	return n
}
