package chaos

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/notifications/inbox"
	"tillstream/payments/sandbox"
)

const tries = 60 // each is affected with probability 1/2

// startStripe starts a Stripe behind the faults of o. ask sends a request; worked counts those that Stripe carried out.
func startStripe(t *testing.T, o *outside) (ask func() (status int, err error), worked *atomic.Int64) {
	t.Helper()
	worked = new(atomic.Int64)
	server := httptest.NewServer(o.front(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := o.intercept(r.Context(), sandbox.Request{}, func() sandbox.Answer {
			worked.Add(1)
			return sandbox.Answer{Status: http.StatusOK}
		})
		w.WriteHeader(answer.Status)
	})))
	t.Cleanup(server.Close)
	client := &http.Client{Timeout: soon}
	return func() (int, error) {
		response, err := client.Get(server.URL)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}, worked
}

func TestStripeFaultsAffectSomeRequests(t *testing.T) {
	t.Parallel()
	for kind, c := range map[Kind]struct {
		status int
		works  bool // although it answers with an error
	}{
		StripeBroken: {http.StatusInternalServerError, false},
		StripeKept:   {http.StatusInternalServerError, true},
		StripeBusy:   {http.StatusTooManyRequests, false},
		StripeSilent: {0, true},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			o := newOutside()
			ask, worked := startStripe(t, o)
			undo := o.begin(Fault{Kind: kind}, nil)
			good, bad := count(t, ask, c.status, 8)
			if good == 0 || bad == 0 || worked.Load() != int64(good) != c.works {
				t.Errorf("got %d good and %d bad answers, %d carried out; want some of both, bad ones carried out: %t", good, bad, worked.Load(), c.works)
			}
			if err := undo(); err != nil {
				t.Fatal(err)
			}
			if good, bad := count(t, ask, c.status, tries); bad > 0 || good != tries {
				t.Errorf("after the fault: got %d bad answers of %d, want none", bad, tries)
			}
		})
	}
}

// count asks until it got enough good and bad answers, at most the number of tries.
func count(t *testing.T, ask func() (int, error), badStatus, enough int) (good, bad int) {
	t.Helper()
	for range tries {
		status, err := ask()
		switch {
		case status == http.StatusOK && err == nil:
			good++
		case status == badStatus:
			bad++
		default:
			t.Fatalf("got status %d, %v; want 200 or %d", status, err, badStatus)
		}
		if good >= enough && bad >= enough || good >= tries {
			break
		}
	}
	return good, bad
}

// deliver sends numbered webhooks and returns those that arrived, in the order of their arrival.
func deliver(t *testing.T, o *outside, n int) (arrived []string) {
	t.Helper()
	bodies := make(chan string, 3*n)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- string(body)
	}))
	t.Cleanup(server.Close)
	client := o.config().Webhooks
	for i := range n {
		response, err := client.Post(server.URL, "application/json", strings.NewReader(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK || response.Body.Close() != nil {
			t.Errorf("delivery %d: got %s, want 200", i, response.Status)
		}
	}
	close(bodies)
	for body := range bodies {
		arrived = append(arrived, body)
	}
	return arrived
}

func TestWebhookFaultsAffectSomeDeliveries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault Fault
		want  func(arrived int) bool
	}{
		"Lost":  {Fault{Kind: WebhooksLost}, func(n int) bool { return n > 0 && n < tries }},
		"Twice": {Fault{Kind: WebhooksTwice}, func(n int) bool { return n > tries && n < 2*tries }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutside()
			undo := o.begin(c.fault, nil)
			if n := len(deliver(t, o, tries)); !c.want(n) {
				t.Errorf("%s: got %d arrivals of %d deliveries", name, n, tries)
			}
			if err := undo(); err != nil {
				t.Fatal(err)
			}
			if n := len(deliver(t, o, tries)); n != tries {
				t.Errorf("after the fault: got %d arrivals of %d deliveries, want all once", n, tries)
			}
		})
	}
	t.Run("Late", func(t *testing.T) {
		t.Parallel()
		o := newOutside()
		undo := o.begin(Fault{Kind: WebhooksLate, Amount: 100}, nil)
		begun := time.Now()
		if n := len(deliver(t, o, 20)); n != 20 || time.Since(begun) < 200*time.Millisecond {
			t.Errorf("got %d arrivals of 20 within %s, want all after at least 200ms", n, time.Since(begun))
		}
		if err := undo(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRefuseHalfRefusesSomeRecipientsAndNoStoredMail(t *testing.T) {
	t.Parallel()
	refused := 0
	for range tries {
		if refuseHalf(t.Context(), inbox.StageRcpt, "", "") != nil {
			refused++
		}
		if err := refuseHalf(t.Context(), inbox.StageStored, "", ""); err != nil {
			t.Errorf("stored mail: got %v, want no error", err)
		}
	}
	if refused == 0 || refused == tries {
		t.Errorf("got %d refusals of %d recipients, want some but not all", refused, tries)
	}
}
