package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/cmd/internal/process"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 16 of the fault matrix: a shop does not open when the configuration of a stream was changed, and the error names the
// difference. A closed shop runs the broker, so that operators can correct it. Then the shop opens again.
func TestChangedStreamIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]tampering{
		"Log":         discarding(events.StreamShop),
		"DeadLetters": discarding(events.StreamDeadLetters),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change.refused(t)
		})
	}
}

// tampering is a change of a stream, and the expected error.
type tampering struct {
	want string // part of the error
	set  func(t *testing.T, js jetstream.JetStream, restore bool)
}

// discarding makes a full stream discard its oldest events.
func discarding(stream string) tampering {
	return tampering{want: stream + `: discard is "old", want "new"`, set: func(t *testing.T, js jetstream.JetStream, restore bool) {
		t.Helper()
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		config := s.CachedInfo().Config
		config.Discard = map[bool]jetstream.DiscardPolicy{false: jetstream.DiscardOld, true: jetstream.DiscardNew}[restore]
		if _, err := js.UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}}
}

func (c tampering) refused(t *testing.T) {
	t.Helper()
	broker := logtest.Server(t).URL() // outlives the shop
	js := jetStreamOf(t, broker)
	config := testConfig(t, func(config *Config) { config.NATSURL = broker })
	openShop(t, config).close(t)
	c.set(t, js, false)
	err := Run(t.Context(), config, slog.New(slog.DiscardHandler), io.Discard)
	if !errors.Is(err, eventlog.ErrDrift) || !strings.Contains(err.Error(), c.want) {
		t.Fatalf("Run() = %v, want ErrDrift with %q", err, c.want)
	}
	closed := config
	closed.Closed = true
	openShop(t, closed).close(t)
	c.set(t, js, true)
	openShop(t, config).close(t)
}

func jetStreamOf(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	return logtest.JetStream(t, logtest.ConnectTo(t, url))
}

// After a changed password the connection to the broker never reconnects. The shop must end then, so that its supervisor can
// start it with the new password; otherwise it would run for ever and sell nothing.
func TestShopEndsWhenTheBrokerRefusesItsPassword(t *testing.T) {
	t.Parallel()
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
		NoSigs: true, NoLog: true, Username: "shop", Password: "old"}
	broker := startBroker(t, options)
	config := testConfig(t, func(c *Config) { c.NATSURL = "nats://shop:old@" + broker.Addr().String() })
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signal, ended := &readySignal{ready: make(chan struct{})}, make(chan error, 1)
	go func() { ended <- Run(ctx, config, slog.New(slog.DiscardHandler), signal) }()
	select {
	case <-signal.ready:
	case err := <-ended:
		t.Fatalf("Run() = %v before the shop was ready", err)
	}

	// The broker restarts with the new password, because a reload of nats-server 2.15 is a data race.
	options.Port, options.Password = broker.Addr().(*net.TCPAddr).Port, "new"
	broker.Shutdown()
	broker.WaitForShutdown()
	startBroker(t, options)
	select {
	case err := <-ended:
		if !errors.Is(err, process.ErrClosed) {
			t.Errorf("Run() = %v, want ErrClosed", err)
		}
	case <-time.After(patience):
		t.Errorf("the shop still runs after %s", patience)
		stop()
		awaitEnd(t, ended)
	}
}

// startBroker starts an external broker that ends with the test.
func startBroker(t *testing.T, options *server.Options) *server.Server {
	t.Helper()
	broker, err := server.NewServer(options.Clone())
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(patience) {
		t.Fatal("the broker is not ready")
	}
	return broker
}
