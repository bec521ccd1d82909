// Package browsertest drives a real browser in tests of pages.
//
//	tab := browsertest.Open(t, 390)
//	tab.Visit(shop.URL)
//	tab.Click("[data-buy]")
//	tab.See("h1", "Thank you")
//
// Every test has a new profile. The browser can connect only to this machine. Errors of the page fail the test: uncaught
// exceptions and violations of the content security policy, unless the test calls [Tab.Expect].
//
// Tests are skipped where no browser is installed. With CI in the environment they fail instead, so that a build cannot pass
// without them.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// timeout bounds every step in a page.
const timeout = 30 * time.Second

// programs are names under which a browser may be installed, in order of preference.
var programs = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// Tab is one browser tab with its own profile.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	errors   []string // of the page
	expected []string // parts of errors that do not fail the test
}

// Open starts a browser with one tab of the given width in CSS pixels, such as 390 for a phone and 1280 for a desktop. The
// browser ends with the test, which fails if the page had an unexpected error.
func Open(t testing.TB, width int64) *Tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(find(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("force-prefers-reduced-motion", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	tab := &Tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		defer stop()
		defer cancel()
		tab.close()
		tab.report()
	})
	// The first call starts the browser, which ends with this context: the context must not have a timeout.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start browser: %v", err)
	}
	if err := chromedp.Listen(ctx, tab.listen); err != nil {
		t.Fatalf("listen to browser: %v", err)
	}
	tab.Do(command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}))
	tab.Resize(width)
	return tab
}

// close waits until the browser has ended, so that no process outlives its test.
func (b *Tab) close() {
	ctx, done := context.WithTimeout(b.ctx, timeout)
	defer done()
	if err := chromedp.Cancel(ctx); err != nil {
		b.t.Logf("close browser: %v", err)
	}
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "no browser found: install chromium to run this test"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// Expect permits errors of the page that contain this text.
func (b *Tab) Expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, part)
}

func (b *Tab) listen(event any) {
	var text string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	case *log.EventEntryAdded:
		// Responses with 4xx and 5xx are logged as well (source network); tests check those themselves.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			text = e.Entry.Text
		}
	}
	if text == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors = append(b.errors, text)
}

func (b *Tab) report() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.errors {
		if !slices.ContainsFunc(b.expected, func(part string) bool { return strings.Contains(text, part) }) {
			b.t.Errorf("got error of the page, want none: %s", text)
		}
	}
}
