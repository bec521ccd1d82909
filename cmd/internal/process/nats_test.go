package process_test

import (
	"log/slog"
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
