package worker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 59 of the fault matrix, before there is any load: a worker that is stopped while the broker opens its consumers, or
// does not, has not failed.
func TestAWorkerIsStoppedWhileItsConsumersAreOpened(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	wire := logtest.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
	l := logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+wire.Addr()))
	wire.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker.New(l, worker.Config{Deciders: []worker.Decider{marker("marker")}}).Run(ctx) }()
	within(t, time.Minute, until(t, wire.Holding), "somebody to wait for the broker")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
