package sandbox_test

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tillstream/payments/sandbox"
)

// post sends a request with an idempotency key.
func (s *testServer) post(path, key string, form url.Values) (answer, error) {
	return s.send(http.MethodPost, path, form, "Authorization", "Bearer "+secretKey, "Idempotency-Key", key)
}

func (s *testServer) mustPost(path, key string, form url.Values) answer {
	s.t.Helper()
	a, err := s.post(path, key, form)
	if err != nil {
		s.t.Fatalf("POST %s: %v", path, err)
	}
	return a
}

func (s *testServer) countIntents() int {
	s.t.Helper()
	n := 0
	list := s.stripe.PaymentIntents.List(&stripe.PaymentIntentListParams{})
	for list.Next() {
		n++
	}
	if err := list.Err(); err != nil {
		s.t.Fatalf("list intents: %v", err)
	}
	return n
}

func TestRepeatedRequestIsReplayed(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	first := s.mustPost("/v1/payment_intents", "k1", newIntentForm())
	replay := func(when string) {
		t.Helper()
		again := s.mustPost("/v1/payment_intents", "k1", newIntentForm())
		if again.status != http.StatusOK || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: got status %d, replayed %q, same body %v; want a replay of the first answer", when, again.status, again.header.Get("Idempotent-Replayed"), again.body == first.body)
		}
	}
	if first.header.Get("Idempotent-Replayed") != "" {
		t.Error("first answer: got Idempotent-Replayed, want none")
	}
	replay("at once")
	var created struct{ ID string }
	first.decode(t, &created)
	if _, err := s.confirm(created.ID, "pm_card_visa"); err != nil {
		t.Fatal(err)
	}
	replay("after the intent has changed")
	s.restart()
	replay("after a restart")
	s.clock.advance(24*time.Hour - time.Second)
	replay("a second before the key expires")
	if n := s.countIntents(); n != 1 {
		t.Errorf("got %d intents, want 1", n)
	}
	s.clock.advance(time.Second)
	fresh := s.mustPost("/v1/payment_intents", "k1", newIntentForm())
	if fresh.body == first.body || fresh.header.Get("Idempotent-Replayed") != "" {
		t.Error("after a day: got a replay, want a new intent")
	}
}

func TestKeyOfAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	s.mustPost("/v1/payment_intents", "k1", newIntentForm())
	other := newIntentForm()
	other.Set("amount", "1251")
	check := func(when, path string, form url.Values) {
		t.Helper()
		got := s.mustPost(path, "k1", form)
		var body struct{ Error struct{ Type string } }
		got.decode(t, &body)
		if got.status != http.StatusBadRequest || body.Error.Type != "idempotency_error" {
			t.Errorf("%s: got status %d, body %s; want 400 idempotency_error", when, got.status, got.body)
		}
	}
	check("other amount", "/v1/payment_intents", other)
	check("other path", "/v1/refunds", url.Values{"charge": {"ch_1"}})
	s.restart()
	check("other amount after a restart", "/v1/payment_intents", other)
}

func TestDeclinesAreStoredAndInvalidRequestsAreNot(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	id := s.create().ID
	declined := url.Values{"payment_method": {"pm_card_chargeDeclined"}}
	first := s.mustPost("/v1/payment_intents/"+id+"/confirm", "k1", declined)
	again := s.mustPost("/v1/payment_intents/"+id+"/confirm", "k1", declined)
	if first.status != http.StatusPaymentRequired || again.status != first.status || again.body != first.body {
		t.Errorf("decline and its repetition: got %d and %d, want 402 with the same body", first.status, again.status)
	}
	charges := 0
	for _, kind := range s.eventTypes() {
		if kind == "charge.failed" {
			charges++
		}
	}
	if charges != 1 {
		t.Errorf("got %d charges, want 1", charges)
	}
	invalid := newIntentForm()
	invalid.Set("amount", "none")
	if got := s.mustPost("/v1/payment_intents", "k2", invalid); got.status != http.StatusBadRequest {
		t.Errorf("invalid amount: got status %d, want 400", got.status)
	}
	if got := s.mustPost("/v1/payment_intents", "k2", newIntentForm()); got.status != http.StatusOK {
		t.Errorf("corrected under the same key: got status %d %s, want 200", got.status, got.body)
	}
}

func TestKeyOfARunningRequestIsRefused(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newTestServer(t, func(c *sandbox.Config) {
		c.Intercept = func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
			if r.IdempotencyKey == "slow" {
				close(entered)
				<-leave
			}
			return work()
		}
	})
	firstDone := make(chan answer, 1)
	go func() {
		a, err := s.post("/v1/payment_intents", "slow", newIntentForm())
		if err != nil {
			t.Errorf("slow request: %v", err)
		}
		firstDone <- a
	}()
	<-entered
	got := s.mustPost("/v1/payment_intents", "slow", newIntentForm())
	var body struct{ Error struct{ Code string } }
	got.decode(t, &body)
	if got.status != http.StatusConflict || body.Error.Code != "idempotency_key_in_use" {
		t.Errorf("while the request runs: got status %d, body %s; want 409 idempotency_key_in_use", got.status, got.body)
	}
	if got := s.mustPost("/v1/payment_intents", "other", newIntentForm()); got.status != http.StatusOK {
		t.Errorf("another key meanwhile: got status %d, want 200", got.status)
	}
	close(leave)
	first := <-firstDone
	if got := s.mustPost("/v1/payment_intents", "slow", newIntentForm()); got.status != http.StatusOK || got.body != first.body {
		t.Errorf("after the request: got status %d, want a replay", got.status)
	}
}

func TestFiftyParallelPostsMakeOneIntent(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	answers := make([]answer, 50)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() {
			for answers[i].status == 0 || answers[i].status == http.StatusConflict {
				a, err := s.post("/v1/payment_intents", "k1", newIntentForm())
				if err != nil {
					t.Errorf("post: %v", err)
					return
				}
				answers[i] = a
			}
		})
	}
	group.Wait()
	for _, a := range answers {
		if a.status != http.StatusOK || a.body != answers[0].body {
			t.Errorf("got status %d, same body %v; want 200 with the same body", a.status, a.body == answers[0].body)
		}
	}
	if n := s.countIntents(); n != 1 {
		t.Errorf("got %d intents, want 1", n)
	}
}

func TestKeyReplaysTheInterceptedAnswer(t *testing.T) {
	t.Parallel()
	failure := sandbox.Answer{Status: http.StatusInternalServerError, Body: []byte(`{"error":{"type":"api_error","message":"out of order"}}`)}
	busy := sandbox.Answer{Status: http.StatusTooManyRequests, Body: []byte(`{"error":{"type":"invalid_request_error","code":"rate_limit","message":"slow down"}}`)}
	page := sandbox.Answer{Status: http.StatusBadGateway, Body: []byte("<html>\n<title>Bad gateway</title>\n</html>\n{\"kind\":\"end\"}\n")}
	tests := map[string]struct {
		change  func(work func() sandbox.Answer) sandbox.Answer
		status  int // of the second request under the same key
		intents int
	}{
		"FailsAfterTheWork":  {func(work func() sandbox.Answer) sandbox.Answer { work(); return failure }, 500, 1},
		"FailsBeforeTheWork": {func(func() sandbox.Answer) sandbox.Answer { return failure }, 500, 0},
		"AnswersNoJSON":      {func(work func() sandbox.Answer) sandbox.Answer { work(); return page }, 502, 1},
		"AnswersNothing":     {func(work func() sandbox.Answer) sandbox.Answer { work(); return sandbox.Answer{Status: 200} }, 200, 1},
		"RefusedAsTooMany":   {func(func() sandbox.Answer) sandbox.Answer { return busy }, 200, 1},
		"WorksOnce":          {func(work func() sandbox.Answer) sandbox.Answer { work(); return work() }, 200, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var once sync.Once
			s := newTestServer(t, inDir(t.TempDir()), func(c *sandbox.Config) {
				c.Intercept = func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) (a sandbox.Answer) {
					changed := false
					once.Do(func() { a, changed = test.change(work), true })
					if changed {
						return a
					}
					return work()
				}
			})
			first := s.mustPost("/v1/payment_intents", "k1", newIntentForm())
			for _, when := range []string{"at once", "after a restart"} {
				again := s.mustPost("/v1/payment_intents", "k1", newIntentForm())
				if again.status != test.status || again.status == first.status && again.body != first.body {
					t.Errorf("%s: got status %d %s, want %d; first was %s", when, again.status, again.body, test.status, first.body)
				}
				s.restart()
			}
			if n := s.countIntents(); n != test.intents {
				t.Errorf("got %d intents, want %d", n, test.intents)
			}
		})
	}
}
