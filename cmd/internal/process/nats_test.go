package process_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/process"
	"tillstream/events/log/logtest"
)

// With 65,536 places, the client's default, every history that is read costs half a megabyte; a log reads at most 256
// messages at a time.
func TestConnectionsKeepShortQueuesForAnswers(t *testing.T) {
	t.Parallel()
	options := nats.GetDefaultOptions()
	for _, option := range process.Options("test", slog.New(slog.DiscardHandler)) {
		if err := option(&options); err != nil {
			t.Fatal(err)
		}
	}
	if options.SubChanLen < 256 || options.SubChanLen > 1024 {
		t.Errorf("%d places for answers, want 256 to 1024", options.SubChanLen)
	}
}

// A connection that was closed for good while the process started is as closed as one that is closed later: the process
// must end, or it would stand there for ever and do nothing.
func TestAConnectionThatIsClosedAlreadyIsClosed(t *testing.T) {
	t.Parallel()
	conn := logtest.Connect(t, logtest.Server(t))
	conn.Close()
	select {
	case <-process.Closed(t.Context(), conn):
	case <-time.After(5 * time.Second):
		t.Error("nobody was told")
	}
}

// A process that waits for its broker says for which one, and not how to get in: a cluster's address holds the password
// once for every server.
func TestWaitingForTheBrokerTellsNoPassword(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := process.Connect(ended, "nats://shop:hidden@127.0.0.1:1,nats://shop:hidden@127.0.0.1:2", "test", slog.New(slog.NewTextHandler(&said, nil)))
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:2") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("ended with %v; want the addresses without the passwords", err)
	}
	if !strings.Contains(said.String(), "waiting for the broker") || strings.Contains(said.String(), "hidden") {
		t.Errorf("logged %s", &said)
	}
}

// An address that is no address gets no better by waiting.
func TestAnUnreadableAddressIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := process.Connect(soon, "nats://shop:hidden%@127.0.0.1:1", "test", slog.New(slog.NewTextHandler(&said, nil)))
	if err == nil || soon.Err() != nil || strings.Contains(err.Error(), "hidden") || strings.Contains(said.String(), "hidden") {
		t.Errorf("ended with %v after %s; want a refusal at once, without the password", err, &said)
	}
}
