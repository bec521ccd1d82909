package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"tillstream/payments/sandbox"
)

func (s *testServer) setFaults(f sandbox.Faults) {
	s.t.Helper()
	if err := s.SetFaults(f); err != nil {
		s.t.Fatalf("set faults: %v", err)
	}
}

// requestFault returns faults that hit every request.
func requestFault(set func(*sandbox.RequestFaults)) sandbox.Faults {
	f := sandbox.Faults{Requests: sandbox.RequestFaults{Hold: sandbox.Duration(time.Millisecond)}}
	set(&f.Requests)
	return f
}

// TestRequestFaults creates an intent while a fault hits, and again under the same key when it has ended.
func TestRequestFaults(t *testing.T) {
	t.Parallel()
	type requests = sandbox.RequestFaults
	tests := map[string]struct {
		set     func(*requests)
		status  int // 0 for no answer
		code    string
		intents int    // made while the fault hit
		after   int    // the status of the repeated request
		stored  string // the Idempotent-Replayed of that
	}{
		"TimeoutBefore": {func(r *requests) { r.TimeoutBefore = 1 }, 0, "", 0, 200, ""},
		"TimeoutAfter":  {func(r *requests) { r.TimeoutAfter = 1 }, 0, "", 1, 200, "true"},
		"RateLimited":   {func(r *requests) { r.RateLimited = 1 }, 429, "rate_limit", 0, 200, ""},
		"ServerError":   {func(r *requests) { r.ServerError = 1 }, 500, "api_error", 0, 200, ""},
		"Conflict":      {func(r *requests) { r.Conflict = 1 }, 409, "idempotency_key_in_use", 0, 200, ""},
		"StoredAfter":   {func(r *requests) { r.Stored500After = 1 }, 500, "api_error", 1, 500, "true"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t)
			s.setFaults(requestFault(test.set))
			create := func() (answer, error) {
				key, value := bearer(secretKey)
				return s.send("POST", "/v1/payment_intents", newIntentForm(), key, value, "Idempotency-Key", "order-1/create")
			}
			got, err := create()
			if (err != nil) != (test.status == 0) || got.status != test.status || !strings.Contains(got.body, test.code) {
				t.Fatalf("got %d %s, error %v; want status %d with %q", got.status, got.body, err, test.status, test.code)
			}
			s.setFaults(sandbox.Faults{})
			if made := len(s.stripe.PaymentIntents.List(nil).PaymentIntentList().Data); made != test.intents {
				t.Errorf("got %d intents, want %d", made, test.intents)
			}
			again, err := create()
			if err != nil || again.status != test.after || again.header.Get("Idempotent-Replayed") != test.stored {
				t.Errorf("repeated: got %d, replayed %q, error %v; want %d, %q", again.status, again.header.Get("Idempotent-Replayed"), err, test.after, test.stored)
			}
		})
	}
}

func TestStored500IsReplayedWithTheWorkDoneOrNot(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.setFaults(requestFault(func(r *sandbox.RequestFaults) { r.Stored500 = 1 }))
	const total = 20
	name, value := bearer(secretKey)
	for n := range 2 * total {
		key := fmt.Sprintf("order-%d/create", n%total)
		got := s.mustSend("POST", "/v1/payment_intents", newIntentForm(), name, value, "Idempotency-Key", key)
		if got.status != 500 || (got.header.Get("Idempotent-Replayed") == "true") != (n >= total) {
			t.Fatalf("request %d: got %d, replayed %q; want 500, replayed from %d on", n, got.status, got.header.Get("Idempotent-Replayed"), total)
		}
	}
	s.setFaults(sandbox.Faults{})
	list := &stripe.PaymentIntentListParams{}
	list.Limit = stripe.Int64(100)
	if made := len(s.stripe.PaymentIntents.List(list).PaymentIntentList().Data); made == 0 || made == total {
		t.Errorf("got %d intents of %d requests, want the work done for some", made, total)
	}
}

func TestSearchRefusedLeavesListsAlone(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.setFaults(requestFault(func(r *sandbox.RequestFaults) { r.SearchRefused = 1 }))
	s.create()
	search := &stripe.PaymentIntentSearchParams{}
	search.Query = "metadata['order_id']:'order-1'"
	found := s.stripe.PaymentIntents.Search(search)
	if e := stripeError(t, found.Err()); e.HTTPStatusCode != 400 || e.Type != stripe.ErrorTypeInvalidRequest {
		t.Errorf("search: got %v, want an invalid request", e)
	}
	if list := s.stripe.PaymentIntents.List(nil); list.Err() != nil {
		t.Errorf("list: got %v, want no error", list.Err())
	}
}

// TestFaultsAreRepeatable sends the same requests to two sandboxes with the same seed, and to one with another seed.
func TestFaultsAreRepeatable(t *testing.T) {
	t.Parallel()
	statuses := func(seed uint64, conflict float64) (got []int) {
		s := newTestServer(t)
		f := requestFault(func(r *sandbox.RequestFaults) { r.RateLimited, r.Conflict = 0.3, conflict })
		f.Seed = seed
		s.setFaults(f)
		name, value := bearer(secretKey)
		for n := range 50 {
			a := s.mustSend("POST", "/v1/payment_intents", newIntentForm(), name, value, "Idempotency-Key", fmt.Sprint(n))
			if a.status == 409 {
				a.status = 200
			}
			got = append(got, a.status)
		}
		return got
	}
	first := statuses(7, 0)
	if diff := cmp.Diff(first, statuses(7, 0.5)); diff != "" {
		t.Errorf("same seed, another fault too: got other requests hit (-first +second):\n%s", diff)
	}
	if cmp.Equal(first, statuses(8, 0)) {
		t.Error("another seed: got the same requests hit, want others")
	}
}

// shop receives webhooks and records what it got.
type shop struct {
	*httptest.Server
	got chan received
}

type received struct {
	event  stripe.Event
	raw    string
	signed bool
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{got: make(chan received, 1000)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Errorf("read webhook: %v", err)
		}
		signed := webhook.ValidatePayload(body, request.Header.Get("Stripe-Signature"), webhookSecret) == nil
		r := received{raw: string(body), signed: signed}
		if err := json.Unmarshal(body, &r.event); err != nil && signed && !strings.Contains(r.raw, "2014-") {
			t.Errorf("decode webhook: %v", err)
		}
		s.got <- r
		if !signed {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shop) next(t *testing.T) received {
	t.Helper()
	select {
	case r := <-s.got:
		return r
	case <-time.After(waitLimit):
		t.Fatalf("after %s: got no webhook, want one", waitLimit)
		return received{}
	}
}

func deliveringAll(r *shop) func(*sandbox.Config) {
	return func(c *sandbox.Config) { c.WebhookURL, c.WebhookEvents = r.URL, []string{"payment_intent.created"} }
}

func TestWebhookFaultsOfOneEvent(t *testing.T) {
	t.Parallel()
	type webhooks = sandbox.WebhookFaults
	short := sandbox.Duration(time.Millisecond)
	tests := map[string]struct {
		faults webhooks
		signed []bool // of the deliveries
	}{
		"Duplicate": {webhooks{Duplicate: 1}, []bool{true, true}},
		"Forge":     {webhooks{Forge: 1}, []bool{false, true}},
		"Delay":     {webhooks{Delay: 1, DelayBy: short}, []bool{true}},
		"Reorder":   {webhooks{Reorder: 1}, []bool{true}},
		"Drop":      {webhooks{Drop: 1}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newShop(t)
			s := newTestServer(t, deliveringAll(r))
			s.setFaults(sandbox.Faults{Webhooks: test.faults})
			defer s.run()()
			s.create()
			s.awaitDelivered(s.stripe.Events.List(nil).EventList().Data[0].ID)
			var signed []bool
			for len(r.got) > 0 {
				signed = append(signed, r.next(t).signed)
			}
			if diff := cmp.Diff(test.signed, signed); diff != "" {
				t.Errorf("signatures of the deliveries (-want +got):\n%s", diff)
			}
			if injected := s.Injected()["webhooks."+strings.ToLower(name)]; injected != 1 {
				t.Errorf("got injected %d, want 1", injected)
			}
		})
	}
}

func TestOldVersionEventsAreDeliveredAndListed(t *testing.T) {
	t.Parallel()
	r := newShop(t)
	s := newTestServer(t, deliveringAll(r))
	s.setFaults(sandbox.Faults{Webhooks: sandbox.WebhookFaults{OldVersion: 1}})
	defer s.run()()
	s.create()
	old := 0
	for range 2 {
		got := r.next(t)
		if !got.signed {
			t.Errorf("got a wrong signature, want the right one: %s", got.raw)
		}
		if strings.Contains(got.raw, `"api_version":"2014-12-22"`) && strings.Contains(got.raw, `"request":"req_`) {
			old++
		}
	}
	name, value := bearer(secretKey)
	list := s.mustSend("GET", "/v1/events", nil, name, value)
	if old != 1 || strings.Count(list.body, `"2014-12-22"`) != 1 {
		t.Errorf("got %d deliveries and this list, want one of the old version in each: %s", old, list.body)
	}
}

func TestForeignPaymentsAreDeliveredAndListed(t *testing.T) {
	t.Parallel()
	tests := map[sandbox.Foreign]struct{ kind, contains, lacks string }{
		sandbox.ForeignNoMetadata:   {"payment_intent.succeeded", `"description":"Order 1042`, `"metadata"`},
		sandbox.ForeignNullMetadata: {"payment_intent.succeeded", `"metadata":null`, `"order_id"`},
		sandbox.ForeignOrder:        {"payment_intent.succeeded", `"metadata":{"order_id":"1042"}`, "payment_id"},
		sandbox.ForeignRefund:       {"charge.refunded", `"refunded":true`, "order_id"},
	}
	for kind, test := range tests {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			r := newShop(t)
			s := newTestServer(t, func(c *sandbox.Config) { c.WebhookURL = r.URL })
			defer s.run()()
			if err := s.AddForeign(kind); err != nil {
				t.Fatal(err)
			}
			got := r.next(t)
			if string(got.event.Type) != test.kind || !got.signed || !strings.Contains(got.raw, test.contains) || strings.Contains(got.raw, test.lacks) {
				t.Errorf("got %s, want a signed %s with %s and without %s", got.raw, test.kind, test.contains, test.lacks)
			}
			if types := s.eventTypes(); len(types) != 1 || types[0] != test.kind {
				t.Errorf("got events %v, want %s", types, test.kind)
			}
		})
	}
	if err := newTestServer(t).AddForeign("other"); err == nil {
		t.Error("AddForeign of an unknown kind: got no error, want one")
	}
}

func TestForeignFaultMakesPaymentsOfOtherShops(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.setFaults(sandbox.Faults{Webhooks: sandbox.WebhookFaults{Foreign: 1}})
	s.create()
	types := s.eventTypes()
	if len(types) != 2 || types[0] != "payment_intent.created" || s.Injected()["webhooks.foreign"] != 1 {
		t.Errorf("got events %v, injected %v; want the created intent and one of another shop", types, s.Injected())
	}
}

func TestFaultsOverHTTP(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	name, value := bearer(secretKey)
	body := `{"seed":7,"webhooks":{"drop":0.2,"delay_by":"2s"},"requests":{"rate_limited":1}}`
	if got := s.control("PUT", "/sandbox/faults", body); got.status != 200 {
		t.Fatalf("got %d %s, want 200", got.status, got.body)
	}
	want := sandbox.Faults{Seed: 7}
	want.Webhooks.Drop, want.Webhooks.DelayBy = 0.2, sandbox.Duration(2*time.Second)
	want.Requests.RateLimited, want.Requests.Hold = 1, sandbox.Duration(30*time.Second)
	if diff := cmp.Diff(want, s.Faults()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	s.mustSend("GET", "/v1/balance", nil, name, value)
	if got := s.control("GET", "/sandbox/faults", ""); !strings.Contains(got.body, `"injected":{"requests.rate_limited":1}`) {
		t.Errorf("got %s, want one rate limited request", got.body)
	}
	if got := s.control("DELETE", "/sandbox/faults", ""); got.status != 200 || s.Faults().Webhooks.Drop != 0 {
		t.Errorf("got %d %s and %+v, want no faults", got.status, got.body, s.Faults())
	}
	for _, wrong := range []string{`{"webhooks":{"drop":1.1}}`, `{"webhooks":{"dorp":1}}`, `{"requests":{"hold":"-1s"}}`, `{`} {
		if got := s.control("PUT", "/sandbox/faults", wrong); got.status != 400 || !strings.Contains(got.body, `"error"`) {
			t.Errorf("%s: got %d %s, want 400", wrong, got.status, got.body)
		}
	}
	for _, key := range []string{"", publishableKey} {
		if got := s.mustSend("GET", "/sandbox/faults", url.Values{}, "Authorization", "Bearer "+key); got.status != 401 {
			t.Errorf("key %q: got %d, want 401", key, got.status)
		}
	}
}

// control sends a request to a route under /sandbox.
func (s *testServer) control(method, path, body string) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set(bearer(secretKey))
	response, err := s.http.Client().Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(got)}
}
