package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/projections"
	"tillstream/events"
)

// verifyPage is the data of verify.html.
type verifyPage struct {
	At    string // moment that the form suggests
	State workState[invariants.Report]
}

func (c *console) showVerification(w http.ResponseWriter, r *http.Request) error {
	data := verifyPage{At: strings.TrimSpace(r.URL.Query().Get("at")), State: c.work.verify.get()}
	command := "ops verify"
	if data.At != "" {
		command += " --at " + shellWord(data.At)
	}
	return c.showWork(w, r, "verify.html", page{Title: "Verify the promises", Command: command, Data: data}, data.State.Running)
}

// startVerification starts a verification of every promise, now or as the shop was at a moment.
func (c *console) startVerification(r *http.Request, author events.Author) (outcome, error) {
	options, what := c.Verify, "the promises"
	options.DB, options.Log, options.Projections = c.DB, c.Log, projections.All()
	if at := strings.TrimSpace(r.PostForm.Get("at")); at != "" {
		moment, err := c.Log.FindMoment(r.Context(), at, c.Now().UTC())
		if err != nil {
			return outcome{}, err
		}
		options.At, what = moment, fmt.Sprintf("the promises at sequence %d", moment.Sequence)
	}
	if r.PostForm.Get("deep") != "" {
		if options.At.Sequence > 0 {
			return outcome{}, fmt.Errorf("%w: the archive is as it is now, so log and archive cannot be compared at an earlier moment", errInvalid)
		}
		options.Deep, what = true, what+", with every event of log and archive"
	}
	err := c.work.verify.start(r.Context(), author.Actor, what, func(ctx context.Context, report progress) (invariants.Report, error) {
		options.Progress = func(p invariants.Progress) { report(p.Stage, p.Done, p.Total) }
		return invariants.Check(ctx, options)
	})
	return outcome{Text: "Verifying " + what + ".", To: "/ops/system/verify"}, err
}

// findingPage returns the page about the subject of a finding, such as "order 0198…", "SKU MUG-1" or "sequence 17"; "" when there is
// none.
func findingPage(subject string) string {
	kind, id, _ := strings.Cut(subject, " ")
	page, known := map[string]string{"order": "/ops/orders/", "SKU": "/ops/stock/", "payment": "/ops/payments/", "sequence": "/ops/events/"}[kind]
	if !known || id == "" {
		return ""
	}
	return page + url.PathEscape(id)
}
