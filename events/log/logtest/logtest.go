// Package logtest gives a test a log of its own, on a real nats-server inside the process.
package logtest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events/embedded"
	"tillstream/events/log"
)

// Server starts a nats-server that lives as long as the test.
func Server(t testing.TB) *embedded.NATS {
	t.Helper()
	server, err := embedded.StartNATS(embedded.NATSConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

// Connect opens a connection over TCP, as a separate process would.
func Connect(t testing.TB, server *embedded.NATS) *nats.Conn {
	t.Helper()
	return ConnectTo(t, server.URL())
}

// ConnectTo is Connect to a broker that is known by its URL.
func ConnectTo(t testing.TB, url string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url, log.HistoryQueue(), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(10*time.Millisecond, 10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// OpenOn opens a log on a server; several on one server are what several processes would be.
func OpenOn(t testing.TB, server *embedded.NATS, change ...func(*log.Config)) *log.Log {
	t.Helper()
	return OpenOver(t, Connect(t, server), change...)
}

// OpenOver opens a log on a connection. It is more patient than a shop's: a machine that runs many tests at once is slow,
// and that is not what they are about.
func OpenOver(t testing.TB, conn *nats.Conn, change ...func(*log.Config)) *log.Log {
	t.Helper()
	config := log.Config{Source: "test", Owns: []string{""}, Patience: time.Minute, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, c := range change {
		c(&config)
	}
	l, err := log.Open(t.Context(), conn, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// Open starts a server and opens a log on it.
func Open(t testing.TB, change ...func(*log.Config)) *log.Log {
	t.Helper()
	return OpenOn(t, Server(t), change...)
}
