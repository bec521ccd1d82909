package console

import (
	"fmt"
	"strings"
	"testing"

	"tillstream/cmd/internal/proof/browsertest"
)

// focusIsVisible is true when a person who uses the keyboard sees where the focus is.
const focusIsVisible = `(() => { const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();
	return it.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.bottom > 0 && box.top < innerHeight; })()`

// keyboard is a person at a tab who has no mouse.
type keyboard struct {
	t testing.TB
	*browsertest.Tab
}

func (k keyboard) press(keys string) {
	k.t.Helper()
	k.Do(browsertest.Keys(keys))
}

// on waits until an element has the focus.
func (k keyboard) on(selector string) {
	k.t.Helper()
	k.Until(fmt.Sprintf("document.readyState === 'complete' && !!document.activeElement?.matches(%q)", selector))
}

// page waits until a page with a heading is complete, so that its script answers keys.
func (k keyboard) page(heading string) {
	k.t.Helper()
	k.Until(fmt.Sprintf("document.readyState === 'complete' && !!document.querySelector('h1')?.innerText.includes(%q)", heading))
}

// reach presses Tab until an element has the focus. Every stop on the way must be visible.
func (k keyboard) reach(selector string) {
	k.t.Helper()
	for range 120 {
		k.press("\t")
		if !browsertest.Evaluate[bool](k.Tab, focusIsVisible) {
			k.t.Fatalf("%s has the focus and does not show it", browsertest.Evaluate[string](k.Tab, "document.activeElement.outerHTML.slice(0, 200)"))
		}
		if browsertest.Evaluate[bool](k.Tab, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
	}
	k.t.Fatalf("Tab does not lead to %s", selector)
}

func TestStaffWorkWithTheKeyboardAlone(t *testing.T) {
	w, _ := openOrders(t)
	w.troubles("o1")
	k := keyboard{t, browsertest.Open(t, 1280)}
	k.Visit(w.URL + "/ops/signin?next=/ops/orders")
	k.on("#name")
	k.press("mira\twrong\r")
	k.See("#problem", "wrong")
	k.on("#password[aria-describedby=problem]")
	k.press(password + "\r")
	k.page("Orders")
	k.press("\t")
	k.on(".skip")
	k.press("\r")
	k.on("main")

	k.press("/")
	k.on("#q")
	k.press("\bada\r") // the driver of the browser types the slash too, though the page has cancelled it
	k.page("Search")
	k.press("jjk")
	k.on("tbody tr:first-child")
	k.press("\r")
	k.page("4XRJK-QYW5E")
	k.reach(".tabs a[aria-current]")
	k.press("?")
	k.on("#help button")
	k.press("\x1b")
	k.on(".tabs a[aria-current]")

	k.press("/")
	k.reach("nav a[href='/ops/deadletters']")
	k.press("\r")
	k.page("Dead letters")
	k.press("j\r")
	k.Until("location.search.includes(`cause=`)")
	k.page("Dead letters")
	k.reach("tbody a[href='/ops/deadletters/1']")
	k.press("\r")
	k.page("Dead letter 1")
	k.reach("#reason-discard")
	k.press("settled by a refund\r")
	k.See("#flash", "Discarded: 1 dead letter.")
	k.on("#flash")
	k.reach("#flash a")
}

func TestARefusedFormKeepsWhatWasTyped(t *testing.T) {
	g := openGoods(t)
	k := keyboard{t, g.tab(1280)}
	k.Visit(g.URL + "/ops/new-item")
	for field, value := range map[string]string{"#sku": "LAMP-1", "#title": "Lamp", "#price": "8,50", "#reason-item": "new in spring"} {
		k.Fill(field, value)
	}
	k.Click("main form button")
	k.See("#flash", "want an amount such as 8.50 GBP")
	k.on("#flash")
	for field, value := range map[string]string{"#sku": "LAMP-1", "#title": "Lamp", "#price": "8,50", "#reason-item": "new in spring"} {
		if got := browsertest.Evaluate[string](k.Tab, fmt.Sprintf("document.querySelector(%q).value", field)); got != value {
			t.Errorf("%s after the refusal: got %q, want %q", field, got, value)
		}
	}
	if !browsertest.Evaluate[bool](k.Tab, "document.querySelector('#sku').matches('[aria-describedby=flash]')") {
		t.Error("the form does not refer to what is wrong")
	}
}

// outline lists what a screen reader or a thumb would miss in a page: what axe does not check.
const outline = `(() => { const missing = [], all = (selector) => [...document.querySelectorAll(selector)], brief = (it) => it.outerHTML.slice(0, 120);
	for (const one of ['main', 'h1', 'header.top', 'nav.side']) if (all(one).length !== 1) missing.push(all(one).length + ' × ' + one);
	let level = 0;
	for (const it of all('main h1, main h2, main h3, main h4')) { const next = +it.tagName[1]; if (next > level + 1) missing.push('heading skips a level: ' + brief(it)); level = next; }
	for (const it of all('table')) if (!it.caption?.textContent.trim()) missing.push('table without a caption: ' + brief(it));
	for (const it of all('thead th')) if (it.scope !== 'col') missing.push('heading of a column without scope: ' + brief(it));
	for (const it of all('[data-live] [role=status], [data-live] [role=alert], [data-live] [aria-live]')) missing.push('read out at every update: ' + brief(it));
	for (const it of all('.button, .copy, summary, nav.side a, .tabs a, input:not([type=checkbox], [type=hidden]), select'))
		if (it.checkVisibility() && it.getBoundingClientRect().height < 40) missing.push('too small for a thumb: ' + brief(it));
	const current = document.querySelector('nav.side [aria-current]')?.getBoundingClientRect();
	if (current && (current.left < 0 || current.right > innerWidth)) missing.push('the page is out of sight in the navigation');
	return missing; })()`

func TestPagesReadWellAloudAndFitAThumb(t *testing.T) {
	g := openGoods(t, func(c *Config) { c.Members = newFakeMembers() })
	g.list("MUG-1", "Harbour Mug", 12)
	g.story()
	g.troubles("o1")
	g.counted()
	tab, titles := g.tab(390), map[string]string{}
	for _, path := range strings.Fields(`/ops /ops/orders /ops/orders/` + orderID + ` /ops/orders/` + orderID + `?tab=list /ops/payments /ops/payments/open /ops/items /ops/items/MUG-1
		/ops/new-item /ops/stock /ops/stock/MUG-1 /ops/stock/MUG-1/adjust?how=delta&number=-40&reason=x /ops/messages /ops/events /ops/events/1 /ops/replay /ops/deadletters
		/ops/deadletters/1 /ops/system /ops/staff /ops/audit /ops/account /ops/search?q= /ops/nothing /ops/past /ops/system/topology /ops/system/lists`) {
		tab.Visit(g.URL + path)
		tab.Until("document.readyState === 'complete'")
		for _, missing := range browsertest.Evaluate[[]string](tab, outline) {
			t.Errorf("%s: %s", path, missing)
		}
		page, _, _ := strings.Cut(path, "?")
		title := browsertest.Evaluate[string](tab, "document.title")
		if other, ok := titles[title]; ok && other != page {
			t.Errorf("%s and %s have the same title, %q", path, other, title)
		}
		titles[title] = page
	}
}
