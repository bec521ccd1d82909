package console

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/cmd/internal/proof/proc"
)

//go:embed testdata/axe/axe.min.js
var axeSource string

// colours are the rules of axe-core whose result depends on the colour scheme.
const colours = `["color-contrast", "link-in-text-block"]`

// axe fails the test if axe-core finds a violation of WCAG 2.2 AA or of its best practices in the page of a tab.
func axe(t testing.TB, tab *browsertest.Tab) {
	t.Helper()
	tab.Until("document.readyState === 'complete'")
	loaded := browsertest.Evaluate[bool](tab, axeSource+"; typeof axe === 'object'")
	if !loaded {
		t.Fatal("axe-core did not load")
	}
	runAxe(t, tab, `{resultTypes: ['violations']}`)
}

// runAxe is [axe] in a page that has loaded axe-core, with options of axe.run.
func runAxe(t testing.TB, tab *browsertest.Tab, options string) {
	t.Helper()
	found := browsertest.Evaluate[string](tab, `axe.run(document, `+options+`).then((result) => JSON.stringify(
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
// that scroll sideways. With BROWSER_SHOTS it saves pictures as NAME-390-light.png and so on. All pages of a world are opened in one
// tab. In dark, axe repeats only the rules about colours. Under the race detector, which sees nothing of a browser, the page is only
// requested.
func (w *world) checkLooks(name, path string) {
	w.t.Helper()
	if proc.Raced {
		w.send(w.Client, http.MethodGet, path, nil)
		return
	}
	if w.looks == nil {
		w.looks = w.tab(390)
	}
	tab := w.looks
	for _, width := range []int64{390, 1280} {
		tab.Resize(width)
		tab.Scheme("light")
		tab.Visit(w.URL + path)
		axe(w.t, tab)
		tab.NoSideScroll()
		tab.Shot(fmt.Sprintf("%s-%d-light", name, width))
		tab.Scheme("dark")
		runAxe(w.t, tab, `{resultTypes: ['violations'], runOnly: `+colours+`}`)
		tab.Shot(fmt.Sprintf("%s-%d-dark", name, width))
	}
}
