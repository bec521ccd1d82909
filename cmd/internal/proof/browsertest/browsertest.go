// Package browsertest starts a real browser for tests of pages.
//
// It promises a fresh profile per test, a browser that can reach nothing but this machine, and that what the page
// complains about is not overlooked: uncaught exceptions and violations of the security policy fail the test.
//
// Without a browser on the machine tests are skipped; where the environment says CI they fail instead, so that the
// gate cannot pass by not looking.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a test may wait for anything in a page.
const patience = 30 * time.Second

// names under which the browser may be installed, the preferred one first.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// Tab is one browser tab with its own profile.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	expected   []string
}

// Open starts a browser with one tab of the given width in CSS pixels: 390 for a phone, 1280 for a desk. It ends with
// the test, which fails if the page complained meanwhile.
func Open(t testing.TB, width int64) *Tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(find(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("force-prefers-reduced-motion", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, leave := chromedp.NewContext(allocator)
	tab := &Tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		defer stop()
		defer leave()
		tab.close()
		tab.report()
	})
	// The first call starts the browser, which lives as long as this context: it must not be one that times out.
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

// close waits until the browser has gone, so that no process outlives its test.
func (b *Tab) close() {
	ctx, done := context.WithTimeout(b.ctx, patience)
	defer done()
	if err := chromedp.Cancel(ctx); err != nil {
		b.t.Logf("close browser: %v", err)
	}
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "no browser here: install chromium to run this test"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// Expect says that the page may complain with this text.
func (b *Tab) Expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, part)
}

func (b *Tab) listen(event any) {
	var complaint string
	switch said := event.(type) {
	case *runtime.EventExceptionThrown:
		complaint = (&chromedp.ExceptionError{ExceptionDetails: said.ExceptionDetails}).Error()
	case *log.EventEntryAdded:
		// Answers of 4xx and 5xx are logged as well (source network); tests look at those by themselves.
		if said.Entry.Level == log.EntryLevelError && said.Entry.Source != log.EntrySourceNetwork {
			complaint = said.Entry.Text
		}
	}
	if complaint == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, complaint)
}

func (b *Tab) report() {
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for _, complaint := range b.complaints {
		for _, part := range b.expected {
			if strings.Contains(complaint, part) {
				continue next
			}
		}
		b.t.Errorf("the page complained: %s", complaint)
	}
}
