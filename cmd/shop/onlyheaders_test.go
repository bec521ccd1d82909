package main

import (
	"net/http"
	"testing"
)

// TestOnlyTheHeadersOfAStream: HEAD of an event stream ends with its headers. To whoever asked, the connection is free
// from then on, and a storefront takes it for the next shopper's request: a stream that went on would keep that waiting.
func TestOnlyTheHeadersOfAStream(t *testing.T) {
	t.Parallel()
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 10)
	o := m.place(t, cart("hedda", line{"MUG", 1}))
	transport := m.http.Transport.(*http.Transport)
	transport.MaxConnsPerHost = 1
	a := m.ask(t, "HEAD /api/orders/ID/events", o.ID, o.AccessToken, "")
	if kind := a.Header.Get("Content-Type"); a.Status != http.StatusOK || kind != "text/event-stream" {
		t.Errorf("HEAD of the stream answers %d as %q", a.Status, kind)
	}
	if now := m.read(t, o); now.ID != o.ID { // on the same connection
		t.Errorf("read order %q, want %q", now.ID, o.ID)
	}
}
