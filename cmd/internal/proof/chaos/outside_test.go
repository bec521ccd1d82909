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

const tries = 60 // of which each is spoilt with a chance of one half

// stripe answers through the front of an outside, and counts the work that it did.
func stripe(t *testing.T, o *outside) (ask func() (status int, err error), worked *atomic.Int64) {
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

func TestStripeMisbehaves(t *testing.T) {
	t.Parallel()
	for kind, c := range map[Kind]struct {
		status int
		works  bool // though it says no
	}{
		StripeBroken: {http.StatusInternalServerError, false},
		StripeKept:   {http.StatusInternalServerError, true},
		StripeBusy:   {http.StatusTooManyRequests, false},
		StripeSilent: {0, true},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			o := newOutside()
			ask, worked := stripe(t, o)
			mend := o.spoil(Fault{Kind: kind}, nil)
			good, bad := count(t, ask, c.status, 8)
			if good == 0 || bad == 0 || worked.Load() != int64(good) != c.works {
				t.Errorf("%d answered well, %d not, %d worked", good, bad, worked.Load())
			}
			if err := mend(); err != nil {
				t.Fatal(err)
			}
			if good, bad := count(t, ask, c.status, tries); bad > 0 || good != tries {
				t.Errorf("when it was over, %d of %d were still spoilt", bad, tries)
			}
		})
	}
}

// count asks until it was answered well and badly so often, or often enough.
func count(t *testing.T, ask func() (int, error), spoilt, enough int) (good, bad int) {
	t.Helper()
	for range tries {
		status, err := ask()
		switch {
		case status == http.StatusOK && err == nil:
			good++
		case status == spoilt:
			bad++
		default:
			t.Fatalf("answered %d, %v", status, err)
		}
		if good >= enough && bad >= enough || good >= tries {
			break
		}
	}
	return good, bad
}

// deliver sends numbered webhooks and returns what arrived, in order.
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
			t.Errorf("delivery %d was answered %s", i, response.Status)
		}
	}
	close(bodies)
	for body := range bodies {
		arrived = append(arrived, body)
	}
	return arrived
}

func TestWebhooksMisbehave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault Fault
		well  func(arrived int) bool
	}{
		"Lost":  {Fault{Kind: WebhooksLost}, func(n int) bool { return n > 0 && n < tries }},
		"Twice": {Fault{Kind: WebhooksTwice}, func(n int) bool { return n > tries && n < 2*tries }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutside()
			mend := o.spoil(c.fault, nil)
			if n := len(deliver(t, o, tries)); !c.well(n) {
				t.Errorf("%d of %d arrived", n, tries)
			}
			if err := mend(); err != nil {
				t.Fatal(err)
			}
			if n := len(deliver(t, o, tries)); n != tries {
				t.Errorf("%d of %d arrived when it was over", n, tries)
			}
		})
	}
	t.Run("Late", func(t *testing.T) {
		t.Parallel()
		o := newOutside()
		mend := o.spoil(Fault{Kind: WebhooksLate, Amount: 100}, nil)
		begun := time.Now()
		if n := len(deliver(t, o, 20)); n != 20 || time.Since(begun) < 200*time.Millisecond {
			t.Errorf("%d of 20 arrived within %s", n, time.Since(begun))
		}
		if err := mend(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMailIsRefused(t *testing.T) {
	t.Parallel()
	refused := 0
	for range tries {
		if refuseHalf(t.Context(), inbox.StageRcpt, "", "") != nil {
			refused++
		}
		if err := refuseHalf(t.Context(), inbox.StageStored, "", ""); err != nil {
			t.Errorf("a mail that was taken is refused: %v", err)
		}
	}
	if refused == 0 || refused == tries {
		t.Errorf("%d of %d were refused", refused, tries)
	}
}
