package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tillstream/cmd/internal/process"
)

// TestABrokerThatLocksTheShopOut: a connection that is closed for good, as after a changed password, never comes back, so
// the shop ends and whoever supervises it starts it anew with what is right now. It would sell nothing and stay for ever.
func TestABrokerThatLocksTheShopOut(t *testing.T) {
	t.Parallel()
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
		NoSigs: true, NoLog: true, Username: "shop", Password: "old"}
	broker := startBroker(t, options)
	config := testConfig(t, func(c *Config) { c.NATSURL = "nats://shop:old@" + broker.Addr().String() })
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	bell, ended := &doorbell{rung: make(chan struct{})}, make(chan error, 1)
	go func() { ended <- Run(ctx, config, slog.New(slog.DiscardHandler), bell) }()
	select {
	case <-bell.rung:
	case err := <-ended:
		t.Fatalf("the shop did not open: %v", err)
	}

	// The broker starts again with the new password: a reload while it serves is a data race of nats-server 2.15.
	options.Port, options.Password = broker.Addr().(*net.TCPAddr).Port, "new"
	broker.Shutdown()
	broker.WaitForShutdown()
	startBroker(t, options)
	select {
	case err := <-ended:
		if !errors.Is(err, process.ErrClosed) {
			t.Errorf("the shop ended with %v, want ErrClosed", err)
		}
	case <-time.After(patience):
		t.Error("the shop stays, and cannot sell")
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
		t.Fatal("the broker does not come up")
	}
	return broker
}
