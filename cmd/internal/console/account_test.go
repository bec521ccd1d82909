package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/cmd/internal/staff"
)

func TestANewMemberSetsAPasswordWithTheOneTimeLink(t *testing.T) {
	w := open(t)
	tab := browsertest.Open(t, 390)
	tab.Visit(w.URL + "/ops/join#one-time")
	tab.Until("location.hash === '' && document.getElementById('link').value === 'one-time'")
	tab.Fill("#new", password)
	tab.Fill("#again", password)
	tab.Click("main button")
	tab.See(".flash", "Sign in as mira")

	stranger := &http.Client{CheckRedirect: w.Client.CheckRedirect}
	pasted := url.Values{"link": {"https://ops.example.com/ops/join#one-time"}, "new": {password}, "again": {password}}
	if answer, _ := w.send(stranger, "POST", "/ops/join", pasted); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("pasted link: got %s, want a redirect", answer.Status)
	}
	pasted.Set("again", "other")
	if answer, body := w.send(stranger, "POST", "/ops/join", pasted); answer.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, errTwice.Error()) {
		t.Errorf("different passwords: got %s, want 422 with the reason", answer.Status)
	}
}

func TestAMemberChangesPasswordAndSetsASecondFactor(t *testing.T) {
	w := open(t)
	if body := w.post("/ops/account/password", url.Values{"old": {password}, "new": {"x"}, "again": {"x"}}); !strings.Contains(body, "Your password is changed") {
		t.Error("change password: got no result")
	}
	if body := w.post("/ops/account/password", url.Values{"old": {"wrong"}, "new": {"x"}, "again": {"x"}}); !strings.Contains(body, staff.ErrRefused.Error()) {
		t.Error("wrong old password: got no refusal")
	}
	w.checkLooks("account", "/ops/account")
	w.checkLooks("totp", "/ops/account/totp")
	if body := w.post("/ops/account/totp", url.Values{"secret": {"JBSWY3DPEHPK3PXP"}, "code": {"123456"}}); !strings.Contains(body, "needs a code of your app") {
		t.Error("second factor: got no result")
	}
}

func TestTheSessionCookieIsOnlyForThisServer(t *testing.T) {
	for address, want := range map[string]string{"": plainCookie + "=session-of-mira; Path=/", "https://ops.example.com": secureCookie + "=session-of-mira; Path=/"} {
		w := open(t, func(c *Config) { c.PublicURL = address })
		answer, _ := w.send(&http.Client{CheckRedirect: w.Client.CheckRedirect}, "POST", "/ops/signin", url.Values{"name": {"mira"}, "password": {password}})
		got := answer.Header.Get("Set-Cookie")
		if !strings.HasPrefix(got, want) || !strings.Contains(got, "HttpOnly") || !strings.Contains(got, "SameSite=Lax") || strings.Contains(got, "Secure") != (address != "") {
			t.Errorf("cookie at %q: got %q, want %q, HttpOnly and SameSite", address, got, want)
		}
	}
}

func TestStaffAPIAcceptsTheSession(t *testing.T) {
	w := open(t, func(c *Config) {
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Header.Get("Authorization"))) })
	})
	if got := w.get("/ops/api/orders"); got != "Bearer session-of-mira" {
		t.Errorf("authorization of a request with a session: got %q, want the session", got)
	}
}

// brokenStaff refuses everybody with one error, if it is set.
type brokenStaff struct {
	SignInService
	err error
}

// SignIn implements SignInService.
func (b *brokenStaff) SignIn(ctx context.Context, name, given, code, via string) (string, time.Time, error) {
	if b.err != nil {
		return "", time.Time{}, b.err
	}
	return b.SignInService.SignIn(ctx, name, given, code, via)
}

// Accept implements SignInService.
func (b *brokenStaff) Accept(context.Context, string, string, string) (string, error) {
	return "", b.err
}

func TestARefusedFormOfAStrangerSaysWhatToDo(t *testing.T) {
	broken := &brokenStaff{}
	w := open(t, func(c *Config) { broken.SignInService, c.Staff = c.Staff, broken })
	right := url.Values{"name": {"mira"}, "password": {password}, "link": {"one-time"}, "new": {password}, "again": {password}}
	for _, tc := range []struct {
		name   string
		err    error
		form   url.Values
		status int
		want   string
	}{
		{"wrong password", staff.ErrRefused, right, http.StatusUnauthorized, "wrong"},
		{"used link", fmt.Errorf("%w: the link was used", staff.ErrNotFound), right, http.StatusUnprocessableEntity, "was used"},
		{"too many attempts", &staff.LockedError{Until: time.Now().Add(time.Minute)}, right, http.StatusTooManyRequests, "try again at"},
		{"no broker", errors.New("read ops.staff.mira: nats: timeout"), right, http.StatusServiceUnavailable, "try again in a minute"},
		{"large form", nil, url.Values{"name": {strings.Repeat("a", maxForm)}, "password": {password}}, http.StatusRequestEntityTooLarge, "too large"},
	} {
		broken.err = tc.err
		for _, path := range []string{"/ops/signin", "/ops/join"} {
			answer, body := w.send(&http.Client{}, "POST", path, tc.form)
			if answer.StatusCode != tc.status || !strings.Contains(body, tc.want) || strings.Contains(body, "nats:") {
				t.Errorf("%s at %s: got %s, want %d with %q and nothing of the inside:\n%.2000s", tc.name, path, answer.Status, tc.status, tc.want, body)
			}
			if seconds := answer.Header.Get("Retry-After"); (seconds != "") != (tc.status == http.StatusTooManyRequests) {
				t.Errorf("%s at %s: got Retry-After %q", tc.name, path, seconds)
			}
		}
	}
}
