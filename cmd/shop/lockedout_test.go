package main

import (
	"context"
	"errors"
	"log/slog"
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
	broker, err := server.NewServer(options.Clone())
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(patience) {
		t.Fatal("the broker does not come up")
	}
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

	options.Password = "new"
	if err := broker.ReloadOptions(options); err != nil {
		t.Fatal(err)
	}
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
