package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
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
