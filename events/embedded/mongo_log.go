package embedded

import (
	"context"
	"log/slog"
	"strings"
)

// quietLog lets only warnings and errors through: FerretDB announces every connection. What it adds to its loggers is
// kept as it is until a line is written, because it adds every statement with all its values to a logger before it
// asks whether anybody listens.
type quietLog struct {
	to   slog.Handler
	with func(slog.Handler) slog.Handler // what was added, nil for nothing
}

func quiet(log *slog.Logger) *slog.Logger { return slog.New(quietLog{to: log.Handler()}) }

// Enabled implements slog.Handler.
func (q quietLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.to.Enabled(ctx, level)
}

// Handle implements slog.Handler. Answers that are errors are printed in full by FerretDB; the client has them already,
// and what customers wrote does not belong in a log.
func (q quietLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "Response header: ") || strings.HasPrefix(r.Message, "Response message:") {
		return nil
	}
	return q.full().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (q quietLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return q.adding(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (q quietLog) WithGroup(name string) slog.Handler {
	return q.adding(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (q quietLog) adding(more func(slog.Handler) slog.Handler) slog.Handler {
	return quietLog{to: q.to, with: func(h slog.Handler) slog.Handler {
		if q.with != nil {
			h = q.with(h)
		}
		return more(h)
	}}
}

func (q quietLog) full() slog.Handler {
	if q.with == nil {
		return q.to
	}
	return q.with(q.to)
}
