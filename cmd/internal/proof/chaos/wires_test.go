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

// echo is a server that sends everything back, and counts what has reached it.
func echo(t *testing.T) (addr string, received *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	reached := new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go func() {
				defer conn.Close()
				buffer := make([]byte, 1<<16)
				for {
					n, err := conn.Read(buffer)
					reached.Add(int64(n))
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
	return listener.Addr().String(), reached
}

// wired is a connection through a proxy, on which one word has already come back.
func wired(t *testing.T) (w *wires, conn net.Conn, reached *atomic.Int64) {
	t.Helper()
	server, reached := echo(t)
	w = newWires()
	t.Cleanup(w.cut)
	through, err := w.lay("orders 1", "broker", server)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err = net.Dial("tcp", through); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := say(conn, 5, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	return w, conn, reached
}

// say sends so many bytes and waits until they have come back.
func say(conn net.Conn, bytes int, patience time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(make([]byte, bytes)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, bytes))
	return err
}

func spoil(t *testing.T, w *wires, kind Kind, amount int64) (mend func()) {
	t.Helper()
	undo, err := w.spoil(Fault{Kind: kind, Victim: Connection("orders 1", "broker"), Amount: amount})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := undo(); err != nil {
			t.Error(err)
		}
	}
}

const soon = 300 * time.Millisecond

func TestSlowConnection(t *testing.T) {
	t.Parallel()
	w, conn, _ := wired(t)
	mend := spoil(t, w, ConnectionSlow, 600)
	begun := time.Now()
	if err := say(conn, 5, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < 400*time.Millisecond {
		t.Errorf("there and back in %s", took)
	}
	mend()
	if err := say(conn, 5, 10*time.Second); err != nil {
		t.Errorf("after it was mended: %v", err)
	}
}

func TestNarrowConnection(t *testing.T) {
	t.Parallel()
	w, conn, _ := wired(t)
	mend := spoil(t, w, ConnectionNarrow, 100)
	begun := time.Now()
	if err := say(conn, 40_000, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < soon {
		t.Errorf("40 kB there and back at 100 kB/s in %s", took)
	}
	mend()
}

func TestSilentConnection(t *testing.T) {
	t.Parallel()
	w, conn, reached := wired(t)
	before := reached.Load()
	mend := spoil(t, w, ConnectionSilent, 0)
	if err := say(conn, 5, soon); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want silence", err)
	}
	if reached.Load() != before {
		t.Error("the server heard it")
	}
	mend()
}

func TestRepliesAreLost(t *testing.T) {
	t.Parallel()
	w, conn, reached := wired(t)
	before := reached.Load()
	mend := spoil(t, w, ConnectionReplies, 0)
	if err := say(conn, 5, soon); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want silence", err)
	}
	if reached.Load() != before+5 {
		t.Error("the server did not hear it")
	}
	mend()
}

func TestResetConnection(t *testing.T) {
	t.Parallel()
	w, conn, _ := wired(t)
	mend := spoil(t, w, ConnectionReset, 0)
	if err := say(conn, 5, 10*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a broken connection", err)
	}
	mend()
}

func TestNobodyThereToHurt(t *testing.T) {
	t.Parallel()
	if _, err := newWires().spoil(Fault{Kind: ConnectionReset, Victim: "orders 1 to the moon"}); !errors.Is(err, ErrUnknownVictim) {
		t.Errorf("got %v", err)
	}
}
