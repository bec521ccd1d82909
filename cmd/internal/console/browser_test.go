package console

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/events"
)

// shopWithHistory is a console on a log with purchases of today and of a week ago, and with troubles.
func shopWithHistory(t *testing.T) *world {
	w := open(t, func(c *Config) {
		c.Readiness = nil
	})
	now := time.Now()
	for i := range 40 {
		w.purchase(fmt.Sprintf("o%d", i), now.Add(-time.Duration(i)*7*time.Minute))
		w.purchase(fmt.Sprintf("before%d", i), now.Add(-week-time.Duration(i)*5*time.Minute))
	}
	w.troubles("o1")
	w.allLanes("shop")
	w.counted()
	return w
}

func TestPagesLookRightOnPhoneAndDesktop(t *testing.T) {
	w := shopWithHistory(t)
	for name, path := range map[string]string{"overview": "/ops", "events": "/ops/events", "event": "/ops/events/1", "system": "/ops/system", "signin": "/ops/signin"} {
		w.checkLooks(name, path)
	}
}

func TestOverviewShowsProblemsFirstAndOrdersOfToday(t *testing.T) {
	w := shopWithHistory(t)
	tab := w.tab(1280)
	tab.Visit(w.URL + "/ops")
	tab.See(".problems", "1 dead letter of orders")
	tab.See(".problems", "ops deadletters show 1")
	tab.Until(`!!document.querySelector('.problems a[href="/ops/deadletters?cause=abc123"]')`)
	tab.See(".problems", "1 mail not sent")
	tab.See(".problems", "1 refund that failed")
	tab.See("[data-live-text]", "live")
	before := browsertest.Evaluate[string](tab, "document.querySelector('[data-live=numbers] .value').innerText")
	w.purchase("new", time.Now())
	tab.Until(fmt.Sprintf("document.querySelector('[data-live=numbers] .value').innerText !== %q", before))
	tab.Click("[data-live-toggle]")
	tab.See("[data-live-text]", "paused")
}

func TestHostileTextIsShownAsText(t *testing.T) {
	w := shopWithHistory(t)
	sequence := w.publish(events.Event{ID: "hostile", Subject: events.PrefixItem + "EVIL", Actor: "staff:mira", Reason: "<b>bold</b>",
		Payload: events.ItemChanged{SKU: "EVIL", Title: hostile, Price: pounds(1)}})
	w.counted()
	for _, path := range []string{"/ops", "/ops/events", fmt.Sprintf("/ops/events/%d", sequence), "/ops/system", "/ops/events?q=" + url.QueryEscape(hostile), "/ops/events?at=" + url.QueryEscape(hostile)} {
		_, body := w.send(w.Client, "GET", path, nil)
		typed := strings.Contains(path, "?") // what staff type themselves is shown as they typed it
		for _, markup := range []string{"<img src=x", "<script>alert", "<b>bold", "\u202e"} {
			if typed && markup == "\u202e" {
				continue
			}
			if strings.Contains(body, markup) {
				t.Errorf("%s: got %q of a stored text as markup", path, markup)
			}
		}
	}
}

func TestLiveEventsAppearWithoutMovingWhatIsRead(t *testing.T) {
	w := shopWithHistory(t)
	tab := w.tab(1280)
	tab.Visit(w.URL + "/ops/events?type=orders.placed")
	tab.See("[data-live-text]", "live")
	sequence := w.purchase("live", time.Now())
	tab.See("tbody tr:first-child", fmt.Sprint(sequence))
	tab.Do(browsertest.Keys("j"))
	again := w.purchase("later", time.Now())
	tab.See(".more-rows", "Show 1 new event")
	tab.Click(".more-rows")
	tab.See("tbody tr:first-child", fmt.Sprint(again))
}

func TestALaneIsPausedWithAReasonAndResumed(t *testing.T) {
	w := shopWithHistory(t)
	tab := w.tab(390)
	tab.Visit(w.URL + "/ops/system")
	tab.Click("#lane-orders summary")
	tab.Fill("#reason-orders", "the printer is on fire")
	tab.Click("#lane-orders form button")
	tab.See(".flash", "The lane orders is paused")
	tab.Click(".flash a")
	tab.See("main", "the printer is on fire")
	tab.See("main", "staff:mira")
	if lanes, err := w.Reader.NamedLanes(t.Context(), []string{"orders"}); err != nil || !lanes[0].Paused {
		t.Errorf("lanes: got %+v, %v; want orders paused", lanes, err)
	}
	if body := w.get("/ops"); !strings.Contains(body, "orders is paused") {
		t.Error("the overview does not show the paused lane")
	}
	if body := w.post("/ops/lanes/orders/resume", url.Values{"reason": {"it is out"}}); !strings.Contains(body, "is resumed") {
		t.Error("resume: got no result")
	}
}

func TestViewersChangeNothing(t *testing.T) {
	w := shopWithHistory(t)
	w.Client = w.signIn("viewer")
	if body := w.post("/ops/lanes/orders/pause", url.Values{"reason": {"x"}}); !strings.Contains(body, "does not have the permission") {
		t.Error("a viewer paused a lane, or was not told why not")
	}
	if body := w.get("/ops/system"); strings.Contains(body, "/pause") {
		t.Error("a viewer is offered to pause lanes")
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	w := open(t)
	request := w.request("POST", "/ops/lanes/orders/pause", url.Values{"reason": {"x"}})
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	answer, err := w.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 403 {
		t.Errorf("cross-site POST: got %s, want 403", answer.Status)
	}
}
