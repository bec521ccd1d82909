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

func TestNATSKeepsMessagesAcrossRestart(t *testing.T) {
	t.Parallel()
	cfg := NATSConfig{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	first := startNATS(t, cfg)
	stream := openStream(t, first)
	if _, err := jetstreamOf(t, first).Publish(t.Context(), "orders.1", []byte("placed")); err != nil {
		t.Fatal(err)
	}
	if got := messagesIn(t, stream); got != 1 {
		t.Fatalf("messages before the restart: got %d, want 1", got)
	}
	first.Stop()
	first.Stop() // the second Stop does nothing

	second := startNATS(t, cfg)
	if got := messagesIn(t, openStream(t, second)); got != 1 {
		t.Fatalf("messages after the restart: got %d, want 1", got)
	}
}

func TestNATSSyncsBeforeItAcknowledges(t *testing.T) {
	t.Parallel()
	n := startNATS(t, NATSConfig{Dir: t.TempDir()})
	if cfg := n.server.Load().JetStreamConfig(); !cfg.SyncAlways {
		t.Fatalf("JetStream config: got %+v, want SyncAlways", cfg)
	}
}

func TestNATSRefusesAnAddressInUse(t *testing.T) {
	t.Parallel()
	taken := listen(t)
	dir := filepath.Join(t.TempDir(), "nats")
	_, err := StartNATS(NATSConfig{Addr: taken, Dir: dir})
	if !errors.Is(err, ErrAddrInUse) || !strings.Contains(err.Error(), "address "+taken+" is in use") {
		t.Fatalf("StartNATS on %s: got %v, want ErrAddrInUse", taken, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("directory: got %v, want it not made", err)
	}
}

func TestNATSRefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startNATS(t, NATSConfig{Dir: dir})
	if _, err := StartNATS(NATSConfig{Dir: dir}); !errors.Is(err, ErrDirInUse) {
		t.Fatalf("second StartNATS: got %v, want ErrDirInUse", err)
	}
}

func TestFailedStartReturnsTheServersMessage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), []byte("a file in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err := StartNATS(NATSConfig{Dir: dir})
	if !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "JetStream") {
		t.Fatalf("StartNATS on a blocked directory: got %v, want ErrNotReady naming JetStream", err)
	}
	if took := time.Since(began); took > natsReady/3 {
		t.Errorf("StartNATS returned after %s, want it well before %s", took, natsReady)
	}
	if err := os.Remove(filepath.Join(dir, "jetstream")); err != nil {
		t.Fatal(err)
	}
	startNATS(t, NATSConfig{Dir: dir}) // the directory is unlocked
}

func TestNATSRefusesInvalidConfig(t *testing.T) {
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
				t.Fatalf("StartNATS(%+v): got no error", cfg)
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

// listen listens on a free loopback port until the test ends.
func listen(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}
