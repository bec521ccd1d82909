package attack_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"tillstream/cmd/internal/proof/attack"
)

// target is a server that records the bodies of each attacker, and ends the attack after enough requests.
type target struct {
	mu     sync.Mutex
	bodies map[string][]string // by attacker, of orders
	seen   int
	answer http.HandlerFunc
	stop   context.CancelFunc
}

// enough requests for every attack to have been made.
const enough = 600

func (g *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/webhooks/") || r.ContentLength > 1<<10 { // of the time of day, or never sent
		g.answer(w, r)
	} else {
		body, err := io.ReadAll(r.Body)
		g.mu.Lock()
		from := r.Header.Get("X-Forwarded-For")
		if g.bodies[from] = append(g.bodies[from], fmt.Sprintf("%s %s %s %v", r.Method, r.URL, body, err)); len(g.bodies[from]) > 1000 {
			delete(g.bodies, from)
		}
		g.mu.Unlock()
		g.answer(w, r)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen++; g.seen >= enough {
		g.stop()
	}
}

// run attacks a server that answers all requests in the same way.
func run(t *testing.T, seed uint64, answer http.HandlerFunc) (attack.Report, *target) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := &target{bodies: map[string][]string{}, answer: answer, stop: cancel}
	server := httptest.NewServer(g)
	defer server.Close()
	return attack.Run(ctx, attack.Config{Storefront: server.URL, Stripe: server.URL, SKUs: []string{"MUG", "CUP"}, Seed: seed, Rate: 3000}), g
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, "{}")
	}
}

func TestBrokenPromisesAreReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // part of a broken promise; empty: none
	}{
		"Refuses":             {status(http.StatusBadRequest), ""},
		"LimitsTheRate":       {status(http.StatusTooManyRequests, "Retry-After", "1"), ""},
		"AcceptsEverything":   {status(http.StatusCreated), "forged webhooks: POST /webhooks/stripe: answered 201, want a refusal"},
		"Fails":               {status(http.StatusInternalServerError), "broken JSON: POST /api/orders: answered 500"},
		"DoesNotSayWhenAgain": {status(http.StatusServiceUnavailable), "answered 503 without Retry-After"},
		"SpreadsForeignHosts": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://"+r.Host+"/")
			w.WriteHeader(http.StatusMovedPermanently)
		}, "header tricks: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, _ := run(t, 1, c.answer)
			broken := report.Broken()
			if c.want == "" && len(broken) > 0 || c.want != "" && !slices.ContainsFunc(broken, func(b string) bool { return strings.Contains(b, c.want) }) {
				t.Errorf("got broken promises %q, want %q", broken, c.want)
			}
			for _, result := range report {
				if len(result.Answers) == 0 && result.Attack != "slow bodies" { // these wait for seconds
					t.Errorf("%s: got no answers", result.Attack)
				}
			}
			var text strings.Builder
			if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "guessed ids and tokens") {
				t.Errorf("got report %q, %v", text.String(), err)
			}
		})
	}
}

// Each attacker sends the same requests for the same seed, as far as it comes.
func TestSeedDecidesTheRequests(t *testing.T) {
	t.Parallel()
	_, first := run(t, 7, status(http.StatusBadRequest))
	_, second := run(t, 7, status(http.StatusBadRequest))
	_, other := run(t, 8, status(http.StatusBadRequest))
	compared, differ := 0, false
	for from, bodies := range first.bodies {
		if !strings.HasPrefix(from, "203.0.113.") {
			continue // header tricks
		}
		n := min(len(bodies), len(second.bodies[from]), len(other.bodies[from])) - 1 // the last one may be cut off
		if n < 1 {
			continue
		}
		compared += n
		differ = differ || !slices.Equal(bodies[:n], other.bodies[from][:n])
		if !slices.Equal(bodies[:n], second.bodies[from][:n]) {
			t.Errorf("attacker %s: got other requests with the same seed", from)
		}
	}
	if compared < 100 || !differ {
		t.Errorf("compared %d requests; another seed gives others: %t, want true", compared, differ)
	}
}
