package console

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tillstream/cmd/internal/proof/browsertest"
)

//go:embed testdata/axe/axe.min.js
var axeSource string

// axe fails the test if axe-core finds a violation of WCAG 2.2 AA or of its best practices in the page of a tab.
func axe(t testing.TB, tab *browsertest.Tab) {
	t.Helper()
	tab.Until("document.readyState === 'complete'")
	loaded := browsertest.Evaluate[bool](tab, axeSource+"; typeof axe === 'object'")
	if !loaded {
		t.Fatal("axe-core did not load")
	}
	found := browsertest.Evaluate[string](tab, `axe.run(document, {resultTypes: ['violations']}).then((result) => JSON.stringify(
		result.violations.map((v) => v.id + ' (' + v.impact + '): ' + v.nodes.map((n) => n.html.slice(0, 200) + ' ' + n.failureSummary).join(' | '))))`)
	var violations []string
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		t.Fatal(err)
	}
	if len(violations) > 0 {
		t.Errorf("axe: %d violations at %s:\n%s", len(violations), browsertest.Evaluate[string](tab, "location.href"), strings.Join(violations, "\n"))
	}
}

// checkLooks opens a page on a phone and on a desktop, in light and in dark, and fails the test for violations of axe and for pages
// that scroll sideways. With BROWSER_SHOTS it saves pictures as NAME-390-light.png and so on.
func (w *world) checkLooks(name, path string) {
	w.t.Helper()
	for _, width := range []int64{390, 1280} {
		tab := w.tab(width)
		for _, scheme := range []string{"light", "dark"} {
			if scheme == "dark" {
				tab.Dark()
			}
			tab.Visit(w.URL + path)
			axe(w.t, tab)
			tab.NoSideScroll()
			tab.Shot(fmt.Sprintf("%s-%d-%s", name, width, scheme))
		}
	}
}
