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

// Action is a step in the browser that returns no value.
type Action = chromedp.Action[chromedp.Void]

// command is a protocol command whose result is ignored.
func command[P, R any](name cdp.Command[P, R], parameters P) Action {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, name, parameters)
		return err
	})
}

// run is [Tab.Do] for an action that returns a value.
func run[T any](b *Tab, action chromedp.Action[T]) T {
	b.t.Helper()
	var result T
	b.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) (err error) {
		result, err = action(ctx, target)
		return err
	}))
	return result
}

// Do runs actions in order. If one fails or times out it ends the test with a message that contains the text of the page.
func (b *Tab) Do(actions ...Action) {
	b.t.Helper()
	ctx, done := context.WithTimeout(b.ctx, timeout)
	defer done()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("drive browser: %v\nat %s\ntext of the page:\n%s", err, b.describe("location.href"), b.describe("document.body.innerText"))
	}
}

// describe evaluates an expression for the message of a failed test. It does not fail itself.
func (b *Tab) describe(expression string) string {
	ctx, done := context.WithTimeout(b.ctx, 2*time.Second)
	defer done()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		return fmt.Sprintf("(unknown: %v)", err)
	}
	return text
}

// Visit loads an address.
func (b *Tab) Visit(address string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(address))
}

// Reload reloads the page.
func (b *Tab) Reload() {
	b.t.Helper()
	b.Do(chromedp.Reload())
}

// Resize sets the width of the page in CSS pixels. Below 600 the browser emulates a phone.
func (b *Tab) Resize(width int64) {
	b.t.Helper()
	phone := width < 600
	b.Do(command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 844, DeviceScaleFactor: 1, Mobile: phone}))
}

// Scheme sets the preferred colour scheme, light or dark.
func (b *Tab) Scheme(scheme string) {
	b.t.Helper()
	b.Do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
}

// See waits until the selected element is visible and contains the text.
func (b *Tab) See(selector, text string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`(() => { const it = document.querySelector(%q);
		return !!it && it.checkVisibility() && it.innerText.includes(%q); })()`, selector, text))
}

// Until waits until the JavaScript expression is true. It ignores errors of the evaluation, which occur during navigation.
func (b *Tab) Until(expression string) {
	b.t.Helper()
	b.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		ticker := time.NewTicker(25 * time.Millisecond)
		defer ticker.Stop()
		var last error
		for {
			var holds bool
			if holds, last = chromedp.Evaluate[bool](expression)(ctx, target); last == nil && holds {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for %s: %w (last: %v)", expression, ctx.Err(), last) //nolint:errorlint // last may be nil
			case <-ticker.C:
			}
		}
	}))
}

// Keys types keys into the element that has the focus, or into the page.
func Keys(keys string) Action { return chromedp.KeyEvent(keys) }

// nodeGone is the error of the browser when a live page has replaced an element between the look-up and the click.
const nodeGone = "Could not find node with given id"

// Click clicks the selected element when it is visible. If the page replaces the element meanwhile, Click clicks the new one, as
// a person would.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	click := chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)
	b.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) (err error) {
		for {
			if _, err = click(ctx, target); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), nodeGone) {
				return err
			}
		}
	}))
}

// Fill replaces the value of a field and fires the events of typing.
func (b *Tab) Fill(selector, value string) {
	b.t.Helper()
	b.Do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`(() => { const it = document.querySelector(%q); it.focus(); it.value = %q;
		for (const name of ['input', 'change']) it.dispatchEvent(new Event(name, {bubbles: true})); it.blur(); })()`,
		selector, value)))
}

// Text returns the visible text of the selected element.
func (b *Tab) Text(selector string) string {
	b.t.Helper()
	return strings.TrimSpace(run(b, chromedp.Text(chromedp.CSS(selector), chromedp.NodeVisible)))
}

// Evaluate returns the value of a JavaScript expression; promises are awaited.
func Evaluate[T any](b *Tab, expression string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// NoSideScroll fails the test if the page scrolls sideways.
func (b *Tab) NoSideScroll() {
	b.t.Helper()
	b.Until("document.readyState === 'complete' && !!document.documentElement") // between two pages there is neither
	wide := Evaluate[[]string](b, `(() => { const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return [];
		return [...document.querySelectorAll('body *')].filter((it) => it.getBoundingClientRect().right > width + 1)
			.map((it) => it.tagName + '.' + it.className).slice(0, 5); })()`)
	if len(wide) > 0 {
		b.t.Errorf("%s scrolls sideways, want the width of the window; too wide: %v", b.describe("location.pathname"), wide)
	}
}

// Shot saves a picture of the whole page as NAME.png in the directory BROWSER_SHOTS, if that is set.
func (b *Tab) Shot(name string) {
	b.t.Helper()
	dir := os.Getenv("BROWSER_SHOTS")
	if dir == "" {
		return
	}
	picture := run(b, chromedp.FullScreenshot(100))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatalf("create directory of pictures: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		b.t.Fatalf("save picture %s: %v", name, err)
	}
}
