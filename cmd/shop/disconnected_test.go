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

// TestTheConnectionBreaks: Row 5 of the fault matrix. Wherever in the request the shopper's connection is lost, the order
// exists as a whole or not at all, and the shopper who asks again has one.
func TestTheConnectionBreaks(t *testing.T) {
	t.Parallel()
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 1000)
	m.list(t, "LAMP", 6400, 1000)
	whole := len(m.onTheWire(t, 0))
	cuts := []int{1, whole / 3, whole - 30, whole - 1, whole}
	for i, bytes := range cuts {
		m.breakAfter(t, m.onTheWire(t, i), bytes)
	}
	var ids []string
	for i := range cuts {
		var o order
		m.post(t, shaky(i), shakyKey(i)).into(t, http.StatusCreated, &o)
		ids = append(ids, o.ID)
	}
	waitFor(t, "the stock of every order is held", func() bool {
		return m.stock(t, "MUG").Held == int64(2*len(cuts)) && m.stock(t, "LAMP").Held == int64(len(cuts))
	})
	if got := m.placedOrders(t); got != len(cuts) {
		t.Errorf("%d orders were placed by %d shoppers", got, len(cuts))
	}
	m.verify(t, ids...)
}

func shaky(i int) placement {
	return cart(fmt.Sprintf("shaky-%d", i), line{"MUG", 2}, line{"LAMP", 1})
}

func shakyKey(i int) string { return fmt.Sprintf("shaky-key-%d", i) }

// onTheWire is a checkout as it is sent.
func (m *testShop) onTheWire(t *testing.T, i int) []byte {
	t.Helper()
	var wire bytes.Buffer
	if err := m.checkoutRequest(t, shaky(i), shakyKey(i)).Write(&wire); err != nil {
		t.Fatal(err)
	}
	return wire.Bytes()
}

// breakAfter sends the first bytes of a request and resets the connection, without having read an answer. It returns when
// nothing more can come of it.
func (m *testShop) breakAfter(t *testing.T, request []byte, bytes int) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(m.Storefront, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(request[:bytes]); err != nil {
		t.Fatal(err)
	}
	if bytes < len(request) {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		m.hangUp(t, conn)
		if got := m.placedOrders(t); got != 0 {
			t.Errorf("%d of %d bytes of a request have made %d orders", bytes, len(request), got)
		}
		return
	}
	if err := errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close()); err != nil { // the answer finds nobody
		t.Fatal(err)
	}
}

// hangUp reads to the end of what the shop says to half a request: then it has made up its mind.
func (m *testShop) hangUp(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("half a request is still open: %v", err)
	}
	if strings.HasPrefix(string(said), "HTTP/1.1 2") {
		t.Errorf("half a request was answered %q", said)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// placedOrders counts the orders in the log.
func (m *testShop) placedOrders(t *testing.T) (count int) {
	t.Helper()
	err := m.log.Each(t.Context(), replay.Range{Subjects: []string{events.PrefixOrder + "*"}}, func(e replay.Message) error {
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
