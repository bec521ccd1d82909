// Package logtest gives each test its own log, on a real nats-server inside the test process.
//
// [Open] is enough for most tests. A test of several processes starts one [Server] and calls [OpenOn] for each of them. A test
// of a broken connection puts a [Proxy] between the log and its server.
package logtest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
)

// Server starts a nats-server that stops when the test ends.
func Server(t testing.TB) *embedded.NATS {
	t.Helper()
	server, err := embedded.StartNATS(embedded.NATSConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

// ServerWith starts a nats-server with options that the shop's own server does not set.
func ServerWith(t testing.TB, options *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("nats-server is not ready after 30 s")
	}
	return s
}

// Connect opens a TCP connection to a server, as a separate process would.
func Connect(t testing.TB, server *embedded.NATS) *nats.Conn {
	t.Helper()
	return ConnectTo(t, server.URL())
}

// ConnectTo is Connect to the server at a URL.
func ConnectTo(t testing.TB, url string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url, eventlog.HistoryQueue(), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(10*time.Millisecond, 10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// JetStream returns the JetStream API of a connection.
func JetStream(t testing.TB, conn *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Replaceable replaces SHOP by an empty stream that permits deletion, which SHOP denies.
func Replaceable(t testing.TB, l *eventlog.Log) jetstream.Stream {
	t.Helper()
	js, config := l.JetStream(), eventlog.Streams(1)[0]
	config.DenyDelete = false
	if err := js.DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// OpenOn opens a log on a server. Each log on one server represents one process.
func OpenOn(t testing.TB, server *embedded.NATS, change ...func(*eventlog.Config)) *eventlog.Log {
	t.Helper()
	return OpenOver(t, Connect(t, server), change...)
}

// OpenOver opens a log on a connection. Its patience is longer than the default, because a machine that runs many tests at
// once is slow.
func OpenOver(t testing.TB, conn *nats.Conn, change ...func(*eventlog.Config)) *eventlog.Log {
	t.Helper()
	config := eventlog.Config{Source: "test", Owns: []string{""}, Patience: time.Minute,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, c := range change {
		c(&config)
	}
	l, err := eventlog.Open(t.Context(), conn, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// Open starts a server and opens a log on it.
func Open(t testing.TB, change ...func(*eventlog.Config)) *eventlog.Log {
	t.Helper()
	return OpenOn(t, Server(t), change...)
}
