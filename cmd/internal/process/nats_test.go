package process_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/address"
	"tillstream/cmd/internal/process"
	"tillstream/events/log/logtest"
)

// With the client's default of 65,536 places, each read of a history allocates half a megabyte. A log reads at most 256
// messages at a time.
func TestOptionsKeepReplyQueuesShort(t *testing.T) {
	t.Parallel()
	options := nats.GetDefaultOptions()
	for _, option := range process.Options("test", slog.New(slog.DiscardHandler)) {
		if err := option(&options); err != nil {
			t.Fatal(err)
		}
	}
	if options.SubChanLen < 256 || options.SubChanLen > 1024 {
		t.Errorf("SubChanLen = %d, want 256 to 1024", options.SubChanLen)
	}
}

// Without the report, a process whose connection closes while it starts would run for ever and do nothing.
func TestWhileConnectedReportsAConnectionThatIsAlreadyClosed(t *testing.T) {
	t.Parallel()
	conn := logtest.Connect(t, logtest.Server(t))
	conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := process.WhileConnected(ctx, conn); !errors.Is(err, process.ErrClosed) {
		t.Errorf("WhileConnected() = %v, want ErrClosed", err)
	}
}

// onWrite is a buffer that calls a function after each write.
type onWrite struct {
	bytes.Buffer
	then func()
}

func (w *onWrite) Write(data []byte) (int, error) {
	defer w.then()
	return w.Buffer.Write(data)
}

// The address of a cluster contains the password once for every server.
func TestConnectLogsAddressesWithoutPasswords(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	logged := onWrite{then: cancel}
	_, err := process.Connect(ctx, "nats://shop:hidden@127.0.0.1:1,nats://shop:hidden@127.0.0.1:2", "test", slog.New(slog.NewTextHandler(&logged, nil)))
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "127.0.0.1:2") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("Connect() = %v, want the end of the context, with addresses and without passwords", err)
	}
	if text := logged.String(); !strings.Contains(text, "waiting for broker") || strings.Contains(text, "hidden") {
		t.Errorf("log = %s, want \"waiting for broker\" without passwords", text)
	}
}

func TestConnectRefusesUnreadableAddress(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := process.Connect(ctx, "nats://shop:hidden%@127.0.0.1:1", "test", slog.New(slog.NewTextHandler(&logged, nil)))
	if !errors.Is(err, address.ErrUnreadable) || strings.Contains(err.Error()+logged.String(), "hidden") {
		t.Errorf("Connect() = %v, log %s; want ErrUnreadable without the password", err, &logged)
	}
}
