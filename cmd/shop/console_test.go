package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
)

// A member of staff sets a password with the one-time link, signs in, and sees the shop. Shoppers' origin has neither the console
// nor the staff API.
func TestStaffSignInToTheConsole(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	directory := staff.NewDirectory(ts.log.Log())
	if err := directory.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	secrets, err := loadSecrets(ts.config, ts.log.Log().Logger())
	if err != nil {
		t.Fatal(err)
	}
	service, err := staff.New(staff.Config{Directory: directory, Log: ts.log.Log().ForDomain("ops"), Secrets: secrets.TokenSecret})
	if err != nil {
		t.Fatal(err)
	}
	link, err := service.Add(t.Context(), staff.Addition{Name: "mira", Role: api.Operator}, events.Author{Reason: "new colleague"})
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	const password = "a long password that nobody guesses"
	browser := &http.Client{Jar: jar}
	joining := url.Values{"link": {link.Token}, "new": {password}, "again": {password}}
	if err := until(t.Context(), func() bool { // the directory of the shop follows the log, to which this test has appended
		status, _ := post(t, browser, ts.Ops+"/ops/join", joining)
		return status == http.StatusOK
	}); err != nil {
		t.Fatal(err)
	}
	status, page := post(t, browser, ts.Ops+"/ops/signin", url.Values{"name": {"mira"}, "password": {password}})
	if status != http.StatusOK {
		t.Fatalf("sign in: got %d, want the overview:\n%s", status, page)
	}
	for _, want := range []string{"staff:mira", "Overview", "Sign out"} {
		if !strings.Contains(page, want) {
			t.Errorf("page after signing in: got no %q:\n%s", want, page)
		}
	}
	for _, path := range []string{"/ops", "/ops/api/orders"} {
		if status := statusAt(t, ts.Storefront+path, ""); status != http.StatusNotFound {
			t.Errorf("shoppers' origin: %s: got %d, want 404", path, status)
		}
	}
}

// throughProxy sends requests as a proxy on this machine does for a client.
type throughProxy string

// RoundTrip implements http.RoundTripper.
func (client throughProxy) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", string(client))
	return http.DefaultTransport.RoundTrip(r)
}

// Behind a proxy every request comes from the proxy's address. Attempts to sign in count for the client, else anybody could lock
// all staff out.
func TestAStrangerBehindTheProxyLocksNobodyElseOut(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	attempt := func(from, name string) int {
		status, _ := post(t, &http.Client{Transport: throughProxy(from)}, ts.Ops+"/ops/signin", url.Values{"name": {name}, "password": {"a guess"}})
		return status
	}
	for i := range 11 {
		want := http.StatusUnauthorized
		if i == 10 {
			want = http.StatusTooManyRequests
		}
		if got := attempt("203.0.113.5", "guess-"+string(rune('a'+i))); got != want {
			t.Fatalf("attempt %d of the stranger: got %d, want %d", i+1, got, want)
		}
	}
	if got := attempt("203.0.113.6", "mira"); got != http.StatusUnauthorized {
		t.Errorf("attempt from another address: got %d, want 401", got)
	}
}

// post sends a form, follows redirects and returns the last page.
func post(t *testing.T, client *http.Client, address string, form url.Values) (status int, page string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var body strings.Builder
	if _, err := io.Copy(&body, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body.String()
}
