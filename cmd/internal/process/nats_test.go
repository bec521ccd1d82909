package process_test

import (
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/process"
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
