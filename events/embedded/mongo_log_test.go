package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestQuietLogPassesOnlyWarnings(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := quiet(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	named := log.With("name", "sqlite").WithGroup("query").With("args", 3)
	named.Info("connection started")
	named.Warn("Response message:\n{ \"email\": \"ada@example.com\" }")
	if out.Len() != 0 {
		t.Fatalf("something came through: %s", &out)
	}
	named.Warn("connection stopped", "id", 7)
	if got, want := out.String(), `msg="connection stopped" name=sqlite query.args=3 query.id=7`; !strings.Contains(got, want) {
		t.Errorf("warning reads %q, want it to have %q", got, want)
	}
}
