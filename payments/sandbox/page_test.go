package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tillstream/payments/sandbox"
)

func (s *testServer) page() string {
	s.t.Helper()
	got := s.mustSend("GET", "/sandbox", nil)
	if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		s.t.Fatalf("got %d %s, want the page", got.status, got.body)
	}
	return got.body
}

// press sends a form of the page. fields are pairs of name and value.
func (s *testServer) press(fields ...string) answer {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return s.mustSend("POST", "/sandbox", form, "Sec-Fetch-Site", "same-origin")
}

func TestThePageShowsWhatTheSandboxHas(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	d := s.disputed("pm_card_createDispute")
	re, err := s.refund(s.captured().ID, 250)
	if err != nil {
		t.Fatal(err)
	}
	page := s.page()
	for _, want := range []string{d.ID, "needs_response", "Submit winning evidence", re.ID, re.PaymentIntent.ID, "webhooks.drop", "Balance, pending"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestThePagesActions(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.captured()
	before := s.clock.Now()
	s.must(s.press("action", "advance", "by", "24h"))
	s.must(s.press("action", "open", "id", in.ID, "reason", "fraudulent"))
	d := s.stripe.Disputes.List(nil).DisputeList().Data[0]
	if moved := d.Created - before.Unix(); moved != 24*3600 {
		t.Errorf("got a dispute opened after %d s, want a day", moved)
	}
	s.must(s.press("action", "dispute", "id", d.ID, "evidence", "winning_evidence"))
	if got := s.dispute(d.ID); got.Status != stripe.DisputeStatusWon {
		t.Errorf("got dispute %s, want won", got.Status)
	}
	s.must(s.press("action", "foreign", "kind", "no_metadata"))
	if n := len(s.stripe.PaymentIntents.List(nil).PaymentIntentList().Data); n != 2 {
		t.Errorf("got %d payments, want 2", n)
	}
	s.must(s.press("action", "preset", "preset", "Everything"))
	if s.Faults().Webhooks.Drop != 0.2 {
		t.Errorf("got faults %+v, want those of the preset", s.Faults())
	}
	s.must(s.press("action", "faults", "webhooks.drop", "7", "requests.conflict", "2.5", "delay_by", "2s", "hold", "1m", "seed", "9"))
	f := s.Faults()
	if f.Webhooks.Drop != 0.07 || f.Requests.Conflict != 0.025 || f.Webhooks.Duplicate != 0 || time.Duration(f.Requests.Hold) != time.Minute || f.Seed != 9 {
		t.Errorf("got faults %+v, want those of the form alone", f)
	}
	if page := s.page(); !strings.Contains(page, `value="7"`) || !strings.Contains(page, `value="2.5"`) {
		t.Error("the page does not show the faults in percent")
	}
}

func (s *testServer) must(got answer) {
	s.t.Helper()
	if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/sandbox") {
		s.t.Fatalf("got %d %s, want a redirect to the page", got.status, got.body)
	}
}

func TestThePageSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	for _, fields := range [][]string{
		{"action", "nothing"}, {"action", "advance", "by", "soon"}, {"action", "advance", "by", "-1h"}, {"action", "open", "id", "pi_none"},
		{"action", "dispute", "id", "dp_none"}, {"action", "foreign", "kind", "x"}, {"action", "preset", "preset", "x"},
		{"action", "faults", "webhooks.drop", "101"}, {"action", "faults", "webhooks.drop", "x"}, {"action", "faults", "hold", "x"}, {"action", "faults", "seed", "-1"},
	} {
		if got := s.press(fields...); got.status != 400 || !strings.Contains(got.body, `role="alert"`) {
			t.Errorf("%v: got %d, want 400 with a message", fields, got.status)
		}
	}
}

// TestThePageIsForThisMachineAndTheSecretKey sends requests from other machines, other sites, and through a proxy.
func TestThePageIsForThisMachineAndTheSecretKey(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	type change = func(*http.Request)
	header := func(name, value string) change { return func(r *http.Request) { r.Header.Set(name, value) } }
	away := func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1234" }
	tests := map[string]struct {
		method string
		change []change
		status int
	}{
		"ThisMachine":      {"GET", nil, 200},
		"OtherMachine":     {"GET", []change{away}, 401},
		"OtherMachineKey":  {"GET", []change{away, func(r *http.Request) { r.SetBasicAuth(secretKey, "") }}, 200},
		"OtherName":        {"GET", []change{func(r *http.Request) { r.Host = "evil.example" }}, 401},
		"ThroughAProxy":    {"GET", []change{header("X-Forwarded-For", "192.0.2.1")}, 401},
		"SameSiteForm":     {"POST", []change{header("Sec-Fetch-Site", "same-origin")}, 303},
		"OtherSiteForm":    {"POST", []change{header("Sec-Fetch-Site", "cross-site")}, 403},
		"OtherOriginForm":  {"POST", []change{header("Origin", "https://evil.example")}, 403},
		"OtherMachineForm": {"POST", []change{away}, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := httptest.NewRequest(test.method, "http://127.0.0.1:12111/sandbox", strings.NewReader("action=preset&preset=No+faults"))
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			request.RemoteAddr = "127.0.0.1:1234"
			for _, c := range test.change {
				c(request)
			}
			recorder := httptest.NewRecorder()
			s.ServeHTTP(recorder, request)
			if recorder.Code != test.status {
				t.Errorf("got %d %s, want %d", recorder.Code, recorder.Body, test.status)
			}
		})
	}
}

// TestThePageCountsWebhooks delivers one event and leaves one waiting.
func TestThePageCountsWebhooks(t *testing.T) {
	t.Parallel()
	r := newShop(t)
	s := newTestServer(t, func(c *sandbox.Config) { c.WebhookURL = r.URL })
	stop := s.run()
	s.authorized()
	s.awaitDelivered(r.next(t).event.ID)
	stop()
	s.authorized()
	page := strings.Join(strings.Fields(s.page()), " ")
	for _, want := range []string{"<dt>Webhooks delivered</dt><dd>1</dd>", "<dt>Webhooks waiting</dt><dd>1</dd>", "<dt>Webhooks abandoned</dt><dd>0</dd>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// Row 73 of the fault matrix: a proxy before a public sandbox may forward requests without a word of where they come from, and with the
// name that it knows the sandbox by. People need the secret key then, also on this machine.
func TestThePageOfAPublicSandboxNeedsTheKey(t *testing.T) {
	t.Parallel()
	for address, status := range map[string]int{"": 200, "http://localhost:12111": 200, "http://[::1]:12111": 200, "https://pay.example.com": 401, "http://192.0.2.1:12111": 401} {
		s := newTestServer(t, func(c *sandbox.Config) { c.BaseURL = address })
		if got := s.mustSend("GET", "/sandbox", nil); got.status != status {
			t.Errorf("sandbox at %q: got %d, want %d", address, got.status, status)
		}
		key, value := bearer(secretKey)
		if got := s.mustSend("GET", "/sandbox", nil, key, value); got.status != 200 {
			t.Errorf("sandbox at %q with the key: got %d, want 200", address, got.status)
		}
	}
}
