package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// Row 5 of the fault matrix: a checkout's connection breaks at any byte. Either the whole order exists or no part of it, and a
// retry returns one order.
func TestBrokenConnectionPlacesAnOrderOrNone(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 1000)
	ts.list(t, "LAMP", 6400, 1000)
	whole := len(ts.onTheWire(t, 0))
	cuts := []int{1, whole / 3, whole - 30, whole - 1, whole}
	for i, n := range cuts {
		ts.breakAfter(t, ts.onTheWire(t, i), n)
	}
	var ids []string
	for i := range cuts {
		var o order
		ts.post(t, checkoutOf(i), keyOf(i)).into(t, http.StatusCreated, &o)
		ids = append(ids, o.ID)
	}
	waitFor(t, "the stock of every order is held", func() bool {
		return ts.stock(t, "MUG").Held == int64(2*len(cuts)) && ts.stock(t, "LAMP").Held == int64(len(cuts))
	})
	if got := ts.placedOrders(t); got != len(cuts) {
		t.Errorf("%d orders were placed, want %d", got, len(cuts))
	}
	ts.verify(t, ids...)
}

func checkoutOf(i int) placement {
	return cart(fmt.Sprintf("shaky-%d", i), line{"MUG", 2}, line{"LAMP", 1})
}

func keyOf(i int) string { return fmt.Sprintf("shaky-key-%d", i) }

// onTheWire returns the bytes of a checkout request.
func (ts *testShop) onTheWire(t *testing.T, i int) []byte {
	t.Helper()
	var wire bytes.Buffer
	if err := ts.checkoutRequest(t, checkoutOf(i), keyOf(i)).Write(&wire); err != nil {
		t.Fatal(err)
	}
	return wire.Bytes()
}

// breakAfter sends the first n bytes of a request and closes the connection without reading an answer to a complete request.
// It returns when the shop has handled what it got.
func (ts *testShop) breakAfter(t *testing.T, request []byte, n int) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(ts.Storefront, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(request[:n]); err != nil {
		t.Fatal(err)
	}
	if n < len(request) {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		ts.hangUp(t, conn)
		if got := ts.placedOrders(t); got != 0 {
			t.Errorf("%d of %d bytes of a request placed %d orders, want 0", n, len(request), got)
		}
		return
	}
	if err := errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close()); err != nil { // a reset: no client reads the answer
		t.Fatal(err)
	}
}

// hangUp reads the answer to an incomplete request to its end, so that the shop has handled the request, and closes the
// connection.
func (ts *testShop) hangUp(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("read the answer to an incomplete request: %v", err)
	}
	if strings.HasPrefix(string(reply), "HTTP/1.1 2") {
		t.Errorf("answer to an incomplete request = %q, want a refusal", reply)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// placedOrders counts the orders in the log.
func (ts *testShop) placedOrders(t *testing.T) (count int) {
	t.Helper()
	err := ts.log.Each(t.Context(), replay.Range{Subjects: []string{events.PrefixOrder + "*"}}, func(e replay.Message) error {
		if e.Header.Get(events.HeaderType) == "orders.placed" {
			count++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// After the headers, the client of a HEAD request reuses the connection: a stream that continued would block the next request of
// the storefront's proxy.
func TestHeadOfAnEventStreamEndsAfterItsHeaders(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	o := ts.place(t, cart("hedda", line{"MUG", 1}))
	transport := ts.http.Transport.(*http.Transport)
	transport.MaxConnsPerHost = 1
	a := ts.ask(t, "HEAD /api/orders/ID/events", o.ID, o.AccessToken, "")
	if kind := a.Header.Get("Content-Type"); a.Status != http.StatusOK || kind != "text/event-stream" {
		t.Errorf("HEAD of the stream: status %d, Content-Type %q", a.Status, kind)
	}
	if now := ts.read(t, o); now.ID != o.ID { // on the same connection
		t.Errorf("read order %q, want %q", now.ID, o.ID)
	}
}
