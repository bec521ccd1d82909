package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// open runs a storefront in front of one process that serves every domain, and returns where it is. stop has it stop.
func open(t *testing.T, domains http.HandlerFunc) (origin string, stop func()) {
	t.Helper()
	upstream := httptest.NewServer(domains)
	t.Cleanup(upstream.Close)
	ctx, cancel := context.WithCancel(context.Background())
	said, out := io.Pipe()
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
			t.Errorf("the storefront stopped badly: %v", err)
		}
	})
	line, err := bufio.NewReader(said).ReadString('\n')
	_, origin, found := strings.Cut(strings.TrimSpace(line), "listens on ")
	if err != nil || !found {
		t.Fatalf("the storefront says %q: %v", line, err)
	}
	return origin, cancel
}

// A storefront that stops gives up what a domain has not answered. Whoever waits for it is told so: an empty 200 would be
// an order that was taken.
func TestWhatWasGivenUpIsNotCalledDone(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	origin, stop := open(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the storefront has left
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
	if response.StatusCode != http.StatusBadGateway || response.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `"status":502`) {
		t.Errorf("answered %d %v %q; want 502, and when to try again", response.StatusCode, response.Header, body)
	}
}
