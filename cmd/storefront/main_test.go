package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// startStorefront runs a storefront before one upstream that serves every domain, and returns its address. stop asks it to
// stop.
func startStorefront(t *testing.T, domains http.HandlerFunc) (origin string, stop func()) {
	t.Helper()
	upstream := httptest.NewServer(domains)
	t.Cleanup(upstream.Close)
	ctx, cancel := context.WithCancel(context.Background())
	output, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		s := settings{HTTP: "127.0.0.1:0", InventoryURL: upstream.URL, NotificationsURL: upstream.URL, OrdersURL: upstream.URL, PaymentsURL: upstream.URL, ShopName: "Tillstream"}
		err := run(ctx, s, slog.New(slog.DiscardHandler), out)
		_ = out.CloseWithError(io.EOF) // never fails
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run() = %v, want nil", err)
		}
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	_, origin, found := strings.Cut(strings.TrimSpace(line), "listens on ")
	if err != nil || !found {
		t.Fatalf("first line = %q (%v), want the address", line, err)
	}
	return origin, cancel
}

// A storefront that stops gives up requests that a domain has not answered. Their clients must not read an empty 200, which
// would mean a placed order.
func TestStoppingAnswersOpenRequestsWith503(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	origin, stop := startStorefront(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a closed connection only after that
		close(arrived)
		<-r.Context().Done()
	})
	go func() {
		<-arrived
		stop()
	}()
	response, err := http.Post(origin+"/api/orders", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `"status":503`) {
		t.Errorf("POST /api/orders = %d %v %q, want a 503 problem with Retry-After", response.StatusCode, response.Header, body)
	}
}

// Every route of shoppers and of Stripe reaches its domain. The routes of staff do not, on this listener that is open to the world:
// the console's listener serves them.
func TestStorefrontServesEveryRouteButThoseOfStaff(t *testing.T) {
	t.Parallel()
	origin, _ := startStorefront(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	data, err := document()
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(data, &described); err != nil || len(described.Paths) == 0 {
		t.Fatalf("document has %d paths (%v), want some", len(described.Paths), err)
	}
	served := map[int]int{} // number of routes by status
	for path, methods := range described.Paths {
		want := http.StatusTeapot
		if strings.HasPrefix(path, "/ops/") {
			want = http.StatusNotFound
		}
		for method := range methods {
			request, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), origin+strings.NewReplacer("{", "", "}", "").Replace(path), nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil {
				t.Error(err)
			}
			if served[response.StatusCode]++; response.StatusCode != want {
				t.Errorf("%s %s = %d, want %d", method, path, response.StatusCode, want)
			}
		}
	}
	if len(served) != 2 {
		t.Errorf("got the statuses %v, want routes of both kinds", served)
	}
}

// Row 73 of the fault matrix: a page of a stranger that gives its own name the storefront's address (DNS rebinding) gets no answer.
func TestStorefrontRefusesForeignHosts(t *testing.T) {
	t.Parallel()
	origin, _ := startStorefront(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for host, want := range map[string]int{"": http.StatusTeapot, "localhost": http.StatusTeapot, "evil.example": http.StatusMisdirectedRequest} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+"/api/items", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		if response.StatusCode != want {
			t.Errorf("host %q: status %d, want %d", host, response.StatusCode, want)
		}
	}
}
