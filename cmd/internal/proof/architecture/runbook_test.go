package architecture

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Alerts and the chapters that they name; rows of the runbook's table of alerts, and its headings.
var (
	alertName    = regexp.MustCompile(`(?m)^ *- alert: (\w+)$[\s\S]*?severity: (\w+)`)
	alertChapter = regexp.MustCompile(`(?m)runbook: runbook\.md#(\S+)$`)
	alertRow     = regexp.MustCompile("(?m)^\\| `(\\w+)` \\((\\w+)\\) \\|")
	heading      = regexp.MustCompile(`(?m)^#+ (.+)$`)
	chapterNamed = regexp.MustCompile(`(?:see|:|then|read) \*([A-Z][^*]+)\*`)
)

// The runbook's table has every alert with its severity, and the chapters that alerts and the runbook itself name exist.
func TestRunbookHasEveryAlert(t *testing.T) {
	t.Parallel()
	tree := loadRepository(t)
	alerts, _ := tree.text("deploy/prometheus/alerts.yaml")
	runbook, _ := tree.text("deploy/runbook.md")
	if n := len(pairs(alertName, alerts)); n < 20 {
		t.Fatalf("got %d alerts, want at least 20", n)
	}
	if diff := cmp.Diff(pairs(alertName, alerts), pairs(alertRow, runbook)); diff != "" {
		t.Errorf("alerts (-in alerts.yaml +in the runbook):\n%s", diff)
	}
	titles := captured(heading, runbook)
	for _, anchor := range captured(alertChapter, alerts) {
		if !slices.ContainsFunc(titles, func(title string) bool { return anchorOf(title) == anchor }) {
			t.Errorf("alerts.yaml names the chapter %s, which the runbook does not have", anchor)
		}
	}
	for _, named := range captured(chapterNamed, runbook) {
		if title := strings.Join(strings.Fields(named), " "); !slices.Contains(titles, title) {
			t.Errorf("the runbook names the chapter %q, which it does not have", title)
		}
	}
}

// pairs returns the two groups of each match, sorted.
func pairs(pattern *regexp.Regexp, content []byte) (found []string) {
	for _, match := range pattern.FindAllSubmatch(content, -1) {
		found = append(found, string(match[1])+" "+string(match[2]))
	}
	slices.Sort(found)
	return found
}

// anchorOf returns the anchor that a heading has on a web page.
func anchorOf(title string) string {
	return regexp.MustCompile(`[^a-z0-9-]`).ReplaceAllString(strings.ReplaceAll(strings.ToLower(title), " ", "-"), "")
}
