package process

import (
	"io"
	"log/slog"
)

// Logger writes lines for people on a terminal, or JSON for machines.
func Logger(w io.Writer, level slog.Level, asJSON bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
