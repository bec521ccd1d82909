package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Action is one step in the browser that returns nothing.
type Action = chromedp.Action[chromedp.Void]

// command is a bare protocol command whose result does not matter.
func command[P, R any](name cdp.Command[P, R], parameters P) Action {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, name, parameters)
		return err
	})
}

// run is Do for an action that returns something.
func run[T any](b *Tab, action chromedp.Action[T]) T {
	b.t.Helper()
	var result T
	b.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) (err error) {
		result, err = action(ctx, target)
		return err
	}))
	return result
}

// Do runs the actions one after the other and ends the test if one fails or takes too long; what the page shows is
// then part of the message.
func (b *Tab) Do(actions ...Action) {
	b.t.Helper()
	ctx, done := context.WithTimeout(b.ctx, patience)
	defer done()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("drive browser: %v\nat %s\nthe page shows:\n%s", err, b.now("location.href"), b.now("document.body.innerText"))
	}
}

// now evaluates without judging, for messages of tests that fail anyway.
func (b *Tab) now(expression string) string {
	ctx, done := context.WithTimeout(b.ctx, 2*time.Second)
	defer done()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		return fmt.Sprintf("(cannot be told: %v)", err)
	}
	return text
}

// Visit loads an address.
func (b *Tab) Visit(address string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(address))
}

// Reload loads the page again, as a shopper would.
func (b *Tab) Reload() {
	b.t.Helper()
	b.Do(chromedp.Reload())
}

// Resize sets the width of the page, with the pixels of a phone when it is as narrow as one.
func (b *Tab) Resize(width int64) {
	b.t.Helper()
	phone := width < 600
	b.Do(command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 844, DeviceScaleFactor: 1, Mobile: phone}))
}

// Dark switches the colour scheme that the page is told.
func (b *Tab) Dark() {
	b.t.Helper()
	b.Do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}))
}

// See waits until the element that the selector names shows the text.
func (b *Tab) See(selector, text string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`(() => { const it = document.querySelector(%q);
		return !!it && it.checkVisibility() && it.innerText.includes(%q); })()`, selector, text))
}

// Until waits until the JavaScript expression holds. It asks again while a page is being left, when there is nothing
// to ask.
func (b *Tab) Until(expression string) {
	b.t.Helper()
	b.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		again := time.NewTicker(25 * time.Millisecond)
		defer again.Stop()
		var last error
		for {
			var holds bool
			if holds, last = chromedp.Evaluate[bool](expression)(ctx, target); last == nil && holds {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for %s: %w (last: %v)", expression, ctx.Err(), last) //nolint:errorlint // last may be nil
			case <-again.C:
			}
		}
	}))
}

// Click presses what the selector names, once it is visible.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	b.Do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Fill replaces the value of a field as typing would.
func (b *Tab) Fill(selector, value string) {
	b.t.Helper()
	b.Do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`(() => { const it = document.querySelector(%q); it.focus(); it.value = %q;
		for (const name of ['input', 'change']) it.dispatchEvent(new Event(name, {bubbles: true})); it.blur(); })()`,
		selector, value)))
}

// Text returns what the element shows.
func (b *Tab) Text(selector string) string {
	b.t.Helper()
	return strings.TrimSpace(run(b, chromedp.Text(chromedp.CSS(selector), chromedp.NodeVisible)))
}

// Evaluate returns the value of a JavaScript expression; promises are awaited.
func Evaluate[T any](b *Tab, expression string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// NoSideScroll fails the test if the page is wider than the window.
func (b *Tab) NoSideScroll() {
	b.t.Helper()
	wide := Evaluate[[]string](b, `(() => { const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return [];
		return [...document.querySelectorAll('body *')].filter((it) => it.getBoundingClientRect().right > width + 1)
			.map((it) => it.tagName + '.' + it.className).slice(0, 5); })()`)
	if len(wide) > 0 {
		b.t.Errorf("%s scrolls sideways; too wide: %v", b.now("location.pathname"), wide)
	}
}

// Shot saves a picture of the whole page as NAME.png in the folder that BROWSER_SHOTS names; without it, nothing.
func (b *Tab) Shot(name string) {
	b.t.Helper()
	folder := os.Getenv("BROWSER_SHOTS")
	if folder == "" {
		return
	}
	picture := run(b, chromedp.FullScreenshot(100))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		b.t.Fatalf("make folder for pictures: %v", err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		b.t.Fatalf("save picture %s: %v", name, err)
	}
}
