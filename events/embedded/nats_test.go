package embedded

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestNATSKeepsMessagesOverARestart(t *testing.T) {
	t.Parallel()
	cfg := NATSConfig{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	first := startNATS(t, cfg)
	stream := openStream(t, first)
	if _, err := jetstreamOf(t, first).Publish(t.Context(), "orders.1", []byte("placed")); err != nil {
		t.Fatal(err)
	}
	if got := messagesIn(t, stream); got != 1 {
		t.Fatalf("%d messages before the restart, want 1", got)
	}
	first.Stop()
	first.Stop() // twice is harmless

	second := startNATS(t, cfg)
	if got := messagesIn(t, openStream(t, second)); got != 1 {
		t.Fatalf("%d messages after the restart, want 1", got)
	}
}

func TestNATSSyncsBeforeItAcknowledges(t *testing.T) {
	t.Parallel()
	n := startNATS(t, NATSConfig{Dir: t.TempDir()})
	if cfg := n.server.JetStreamConfig(); !cfg.SyncAlways {
		t.Fatalf("JetStream runs with %+v, want SyncAlways", cfg)
	}
}

func TestNATSRefusesATakenAddress(t *testing.T) {
	t.Parallel()
	taken := listen(t)
	dir := filepath.Join(t.TempDir(), "nats")
	_, err := StartNATS(NATSConfig{Addr: taken, Dir: dir})
	if !errors.Is(err, ErrAddrInUse) || !strings.Contains(err.Error(), "address "+taken+" is in use") {
		t.Fatalf("start on %s: %v, want ErrAddrInUse", taken, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the directory was touched: %v", err)
	}
}

func TestNATSRefusesATakenDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startNATS(t, NATSConfig{Dir: dir})
	if _, err := StartNATS(NATSConfig{Dir: dir}); !errors.Is(err, ErrDirInUse) {
		t.Fatalf("second server on one directory: %v, want ErrDirInUse", err)
	}
}

func TestNATSSaysWhyItDidNotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), []byte("a file in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err := StartNATS(NATSConfig{Dir: dir})
	if !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "JetStream") {
		t.Fatalf("start over a file in the way: %v, want ErrNotReady naming JetStream", err)
	}
	if took := time.Since(began); took > natsReady/3 {
		t.Errorf("it took %s to say so", took)
	}
	if err := os.Remove(filepath.Join(dir, "jetstream")); err != nil {
		t.Fatal(err)
	}
	startNATS(t, NATSConfig{Dir: dir}) // the directory was let go of
}

func TestNATSRefusesNonsense(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]NATSConfig{
		"NoDir":      {},
		"NoPort":     {Dir: t.TempDir(), Addr: "127.0.0.1"},
		"WordAsPort": {Dir: t.TempDir(), Addr: "127.0.0.1:nats"},
		"PortTooBig": {Dir: t.TempDir(), Addr: "127.0.0.1:65536"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n, err := StartNATS(cfg); err == nil {
				n.Stop()
				t.Fatalf("%+v started", cfg)
			}
		})
	}
}

func startNATS(t testing.TB, cfg NATSConfig) *NATS {
	t.Helper()
	n, err := StartNATS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	return n
}

func jetstreamOf(t testing.TB, n *NATS) jetstream.JetStream {
	t.Helper()
	conn, err := n.Conn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func openStream(t testing.TB, n *NATS) jetstream.Stream {
	t.Helper()
	stream, err := jetstreamOf(t, n).CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{
		Name: "ORDERS", Subjects: []string{"orders.*"}, AllowAtomicPublish: true, AllowDirect: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func messagesIn(t testing.TB, stream jetstream.Stream) uint64 {
	t.Helper()
	info, err := stream.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

// listen takes a free loopback port for the length of the test.
func listen(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}
