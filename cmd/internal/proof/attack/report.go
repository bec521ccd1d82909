package attack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// result collects the answers to one kind of attack. It is safe for concurrent use.
type result struct {
	kind kind

	mu      sync.Mutex
	answers map[string]int
	broken  []string
}

// maxBroken bounds how many different broken promises of one kind of attack are kept.
const maxBroken = 20

// answered counts an answer, and checks that a stranger may get it.
func (r *result) answered(what string, status int, header http.Header) {
	r.count(strconv.Itoa(status))
	switch {
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		if header.Get("Retry-After") == "" {
			r.breaks("%s: answered %d without Retry-After", what, status)
		}
	case status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported: // what no client of the shop needs
	case status >= http.StatusInternalServerError:
		r.breaks("%s: answered %d", what, status)
	case status < http.StatusMultipleChoices && !r.kind.entitled:
		r.breaks("%s: answered %d, want a refusal", what, status)
	}
}

// Names of answers that have no status.
const (
	cutOff = "cut off"
	silent = "no answer"
)

// unanswered counts a request without an answer, unless the attack has ended. A request that is neither answered nor cut off
// holds a connection of the shop.
func (r *result) unanswered(ctx context.Context, err error) {
	var network net.Error
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &network) && network.Timeout():
		r.count(silent)
		r.breaks("a request was neither answered nor cut off within %s", patience)
	default:
		r.count(cutOff)
	}
}

func (r *result) count(answer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[answer]++
}

func (r *result) breaks(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if broken := fmt.Sprintf(format, args...); len(r.broken) < maxBroken && !slices.Contains(r.broken, broken) {
		r.broken = append(r.broken, broken)
	}
}

// Report is what the attackers got.
type Report []Result

// Result is the result of one kind of attack.
type Result struct {
	Attack  string         `json:"attack"`
	Answers map[string]int `json:"answers"`          // requests by status, or "cut off" for a closed connection
	Broken  []string       `json:"broken,omitempty"` // answers that the shop promises not to give
}

func reportOf(results []*result) Report {
	var report Report
	for _, r := range results {
		report = append(report, Result{Attack: r.kind.name, Answers: r.answers, Broken: r.broken})
	}
	return report
}

// Broken returns the broken promises of all attacks.
func (r Report) Broken() (all []string) {
	for _, result := range r {
		for _, broken := range result.Broken {
			all = append(all, result.Attack+": "+broken)
		}
	}
	return all
}

// WriteText writes the report as a table.
func (r Report) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%-26s %8s   %s\n", "attack", "requests", "answers")
	for _, result := range r {
		total, parts := 0, []string{}
		for _, answer := range slices.Sorted(maps.Keys(result.Answers)) {
			total += result.Answers[answer]
			parts = append(parts, fmt.Sprintf("%s: %d", answer, result.Answers[answer]))
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "%-26s %8d   %s\n", result.Attack, total, strings.Join(parts, ", "))
		}
	}
	return err
}
