package chaos

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// startEcho starts a server that sends back what it receives, and returns its address and the count of bytes received.
func startEcho(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	received := new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			go func() {
				defer conn.Close()
				buffer := make([]byte, 1<<16)
				for {
					n, err := conn.Read(buffer)
					received.Add(int64(n))
					if err != nil {
						return
					}
					if _, err := conn.Write(buffer[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String(), received
}

// connect returns a connection through a proxy, after one round trip on it, and the number of bytes that the server received.
func connect(t *testing.T) (p *proxies, conn net.Conn, received *atomic.Int64) {
	t.Helper()
	server, received := startEcho(t)
	p = newProxies()
	t.Cleanup(p.stop)
	addr, err := p.start("orders 1", "broker", server)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err = net.Dial("tcp", addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := roundTrip(conn, 5, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	return p, conn, received
}

// roundTrip sends bytes and reads as many back, within a time.
func roundTrip(conn net.Conn, bytes int, within time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := conn.Write(make([]byte, bytes)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, bytes))
	return err
}

// begin begins a fault of the connection.
func begin(t *testing.T, p *proxies, kind Kind, amount int64) (undo func()) {
	t.Helper()
	end, err := p.begin(Fault{Kind: kind, Target: Connection("orders 1", "broker"), Amount: amount})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	}
}

const soon = 300 * time.Millisecond

func TestSlowConnectionDelaysBothWays(t *testing.T) {
	t.Parallel()
	p, conn, _ := connect(t)
	undo := begin(t, p, ConnectionSlow, 600)
	begun := time.Now()
	if err := roundTrip(conn, 5, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < 400*time.Millisecond {
		t.Errorf("round trip: got %s, want at least 400ms", took)
	}
	undo()
	if err := roundTrip(conn, 5, 10*time.Second); err != nil {
		t.Errorf("round trip after the fault: %v", err)
	}
}

func TestNarrowConnectionLimitsBandwidth(t *testing.T) {
	t.Parallel()
	p, conn, _ := connect(t)
	undo := begin(t, p, ConnectionNarrow, 100)
	begun := time.Now()
	if err := roundTrip(conn, 40_000, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < soon {
		t.Errorf("round trip of 40 kB at 100 kB/s: got %s, want at least %s", took, soon)
	}
	undo()
}

func TestSilentConnectionLosesRequests(t *testing.T) {
	t.Parallel()
	p, conn, received := connect(t)
	before := received.Load()
	undo := begin(t, p, ConnectionSilent, 0)
	if err := roundTrip(conn, 5, soon); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("round trip: got %v, want a timeout", err)
	}
	if got := received.Load(); got != before {
		t.Errorf("server received %d bytes, want %d", got, before)
	}
	undo()
}

func TestLostRepliesReachTheServerOnly(t *testing.T) {
	t.Parallel()
	p, conn, received := connect(t)
	before := received.Load()
	undo := begin(t, p, ConnectionReplies, 0)
	if err := roundTrip(conn, 5, soon); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("round trip: got %v, want a timeout", err)
	}
	if got := received.Load(); got != before+5 {
		t.Errorf("server received %d bytes, want %d", got, before+5)
	}
	undo()
}

func TestResetClosesTheConnection(t *testing.T) {
	t.Parallel()
	p, conn, _ := connect(t)
	undo := begin(t, p, ConnectionReset, 0)
	if err := roundTrip(conn, 5, 10*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("round trip: got %v, want a broken connection", err)
	}
	undo()
}

func TestUnknownConnectionIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := newProxies().begin(Fault{Kind: ConnectionReset, Target: "orders 1 to the moon"}); !errors.Is(err, ErrUnknownTarget) {
		t.Errorf("begin: got %v, want ErrUnknownTarget", err)
	}
}
