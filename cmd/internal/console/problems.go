package console

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/process"
)

// problem is something that staff should look at.
type problem struct {
	Bad     bool   // something is lost or stands still; otherwise it only waits
	Kind    string // such as "Dead letters"
	Title   string
	Detail  string
	To      string // the page that shows it
	Command string // that shows or mends it
}

// lagging is the lag from which a lane is shown as a problem: the tests of the lanes allow as much under load.
const lagging = 1000

// problems returns everything that is wrong, the worst first.
func (c *console) problems(ctx context.Context, s state) (all []problem) {
	if s.Err != nil {
		all = append(all, problem{Bad: true, Kind: "Log", Title: "The log cannot be read", Detail: s.Err.Error(), To: "/ops/system", Command: "ops lag"})
	}
	all = append(all, letterProblems(s)...)
	all = append(all, processProblems(c.Readiness(ctx))...)
	all = append(all, laneProblems(s.Lanes)...)
	all = append(all, failureProblems(c.tally.failures())...)
	all = append(all, paymentProblems(c.work.payments.get().Result)...)
	all = append(all, approvalProblems(c.tally.waitingReplays())...)
	slices.SortStableFunc(all, func(a, b problem) int {
		if a.Bad == b.Bad {
			return 0
		} else if a.Bad {
			return -1
		}
		return 1
	})
	return all
}

// paymentProblems are the open items of the newest comparison with Stripe; report is nil without one.
func paymentProblems(report *invariants.Report) (all []problem) {
	if report == nil {
		return nil
	}
	if n := len(report.Findings); n > 0 {
		first := report.Findings[0]
		all = append(all, problem{Bad: true, Kind: "Payments", Title: plural(n, "disagreement") + " with Stripe", Detail: "the first: " + first.Subject + ": " + first.Detail,
			To: "/ops/payments/open", Command: "ops verify"})
	}
	if n := len(report.OpenItems); n > 0 {
		all = append(all, problem{Kind: "Payments", Title: plural(n, "unfinished refund"), Detail: "the first: " + report.OpenItems[0].Subject, To: "/ops/payments/open", Command: "ops verify"})
	}
	return all
}

// approvalProblems are the replays that wait for a second person.
func approvalProblems(waiting []unapprovedReplay) (all []problem) {
	for _, r := range waiting {
		all = append(all, problem{Kind: "Replay", Title: "A replay of " + plural(r.Events, "event") + " waits for a second person", Detail: "requested by " + r.By + ": " + r.Reason,
			To: "/ops/replay/" + url.PathEscape(r.ID), Command: "ops replays approve " + r.ID})
	}
	return all
}

func letterProblems(s state) (all []problem) {
	for _, cause := range s.Causes {
		all = append(all, problem{Bad: true, Kind: "Dead letters", Title: plural(cause.Count, "dead letter") + " of " + cause.Lane, Detail: cause.Error,
			To: "/ops/deadletters?cause=" + url.QueryEscape(cause.Fingerprint), Command: "ops deadletters show " + fmt.Sprint(cause.Example)})
	}
	return all
}

// seenInLog are the codes of what letterProblems and laneProblems list, once for all processes that report it.
var seenInLog = []string{process.CodeCircuitOpen, process.CodeDeadLetters, process.CodeLanePaused}

func processProblems(processes []Process) (all []problem) {
	for _, p := range processes {
		unlisted := slices.ContainsFunc(p.Codes, func(code string) bool { return !slices.Contains(seenInLog, code) })
		if p.Ready && !unlisted {
			continue
		}
		title := p.Name + " is not ready"
		if p.Ready {
			title = p.Name + " is degraded"
		}
		all = append(all, problem{Bad: !p.Ready, Kind: "Process", Title: title, Detail: strings.Join(p.Problems, "; "), To: "/ops/system", Command: "ops lag"})
	}
	return all
}

func laneProblems(lanes []lane) (all []problem) {
	var left []string
	for _, l := range lanes {
		p := problem{Kind: "Lane", To: "/ops/system#lane-" + l.Name, Command: "ops lag"}
		switch {
		case l.Paused:
			p.Title, p.Command = l.Name+" is paused", "ops resume "+l.Name+" --reason TEXT"
			p.Detail = "until it is resumed"
			if l.Until != nil {
				p.Detail = "until " + l.Until.UTC().Format("2006-01-02 15:04 UTC")
			}
		case l.CircuitOpen != "":
			p.Bad, p.Title, p.Detail = true, l.Name+" gets no answers", l.CircuitOpen
		case l.Holder == "":
			left = append(left, l.Name)
			continue
		case l.Lag > lagging:
			p.Title, p.Detail = l.Name+" lags", number(l.Lag)+" events wait"
		default:
			continue
		}
		all = append(all, p)
	}
	if len(left) > 0 {
		all = append([]problem{{Bad: true, Kind: "Lanes", Title: plural(len(left), "lane") + " without a process", Detail: strings.Join(left, ", ") + ": events wait in the log until a process takes them",
			To: "/ops/system", Command: "ops lag"}}, all...)
	}
	return all
}

// failureKinds has for each kind of failure how it is listed.
var failureKinds = []struct{ eventType, kind, title, page, command string }{
	{"payments.refund_failed", "Refunds", "refund that failed", "/ops/payments/open", "ops timeline "},
	{"notifications.failed", "Mail", "mail not sent", "/ops/messages?status=failed", "ops timeline "},
	{"notifications.unknown", "Mail", "mail that may not have been sent", "/ops/messages?status=unknown", "ops timeline "},
}

// failureProblems lists failures by kind, with the oldest of each.
func failureProblems(failures []failure) (all []problem) {
	for _, kind := range failureKinds {
		count, oldest := 0, failure{}
		for _, f := range failures {
			if f.Type != kind.eventType {
				continue
			}
			if count++; count == 1 {
				oldest = f
			}
		}
		if count == 0 {
			continue
		}
		title := "1 " + kind.title
		if count > 1 {
			first, rest, _ := strings.Cut(kind.title, " ")
			title = fmt.Sprintf("%s %ss %s", number(count), first, rest)
		}
		all = append(all, problem{Bad: true, Kind: kind.kind, Title: title, Detail: "the oldest, at " + oldest.At.UTC().Format(time.DateTime) + ": " + oldest.Text,
			To: kind.page, Command: kind.command + oldest.Order})
	}
	return all
}
