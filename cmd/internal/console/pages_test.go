package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tillstream/events/api"
)

func TestEveryPageOfTheNavigationOpens(t *testing.T) {
	w := open(t, func(c *Config) { c.API, c.Members = &orderAPI{}, newFakeMembers() })
	for _, group := range navigation {
		for _, link := range group.Links {
			if body := w.get(link.To); !strings.Contains(body, `aria-current="page">`+link.Text) {
				t.Errorf("%s: its entry in the navigation is not marked as current", link.To)
			}
		}
	}
}

func TestPagesWithoutASessionAskToSignIn(t *testing.T) {
	w := open(t)
	stranger := &http.Client{CheckRedirect: w.Client.CheckRedirect}
	answer, _ := w.send(stranger, "GET", "/ops/orders?q=x", nil)
	if got, want := answer.Header.Get("Location"), "/ops/signin?next="+url.QueryEscape("/ops/orders?q=x"); got != want {
		t.Errorf("redirect: got %q, want %q", got, want)
	}
	answer, _ = w.send(stranger, "POST", "/ops/signin", url.Values{"name": {"mira"}, "password": {password}, "next": {"https://evil.example/ops"}})
	if got := answer.Header.Get("Location"); got != "/ops" {
		t.Errorf("after signing in: got %q, want a page of the console", got)
	}
}

func TestARefusalOfTheStaffAPIIsShownForWhatItIs(t *testing.T) {
	for status, want := range map[int]int{http.StatusUnprocessableEntity: http.StatusBadRequest, http.StatusBadRequest: http.StatusBadRequest, http.StatusForbidden: http.StatusForbidden,
		http.StatusNotFound: http.StatusNotFound, http.StatusServiceUnavailable: http.StatusServiceUnavailable} {
		w := open(t, func(c *Config) {
			c.API = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				api.WriteProblem(w, status, "want a date such as 2026-11-01")
			})
		})
		if answer, body := w.send(w.Client, "GET", "/ops/orders?from=nope", nil); answer.StatusCode != want {
			t.Errorf("answer %d of the staff API: got %s, want %d:\n%s", status, answer.Status, want, body)
		}
	}
}

func TestAHeadRequestOfALivePageEnds(t *testing.T) {
	w := open(t)
	for _, page := range []string{"overview", "system", "events"} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		r := w.request(http.MethodHead, "/ops/live/"+page, nil).WithContext(ctx)
		r.AddCookie(&http.Cookie{Name: plainCookie, Value: "session-of-mira"})
		w.console.liveRoutes().ServeHTTP(httptest.NewRecorder(), r)
		if ctx.Err() != nil {
			t.Errorf("HEAD of %s: got no end, and the next request on the connection waits for it", page)
		}
		cancel()
	}
}

// Texts of actions name what people have typed, which can be long and of any characters.
func TestAResultOfAnActionFitsIntoACookie(t *testing.T) {
	w := open(t)
	for _, text := range []string{strings.Repeat("a", 10_000), strings.Repeat("<", 1_900), strings.Repeat("\x01", 1_900), strings.Repeat("値", 1_300)} {
		answer := httptest.NewRecorder()
		w.console.setFlash(answer, flash{Bad: true, Text: text})
		cookie := answer.Result().Cookies()[0]
		if got := len(cookie.Raw); got > 4096 {
			t.Errorf("cookie of %.3q…: got %d bytes, and browsers drop more than 4,096", text, got)
		}
		r := httptest.NewRequest(http.MethodGet, "/ops", nil)
		r.AddCookie(cookie)
		if f := w.console.takeFlash(httptest.NewRecorder(), r); f == nil || !f.Bad || !strings.HasPrefix(text, strings.TrimSuffix(f.Text, "…")) || len(f.Text) < 200 {
			t.Errorf("flash of %.3q…: got %+v, want its beginning", text, f)
		}
	}
}
