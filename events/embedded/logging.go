package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// natsLog passes the log of nats-server to slog. Notices become debug lines, because they are meant for operators of a
// separate server. A fatal message, after which a separate server ends, is kept for StartNATS.
type natsLog struct {
	log   *slog.Logger
	fatal chan string
}

func newNATSLog(log *slog.Logger) *natsLog {
	return &natsLog{log: log, fatal: make(chan string, 1)}
}

func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *natsLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *natsLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }

// Fatalf keeps the first message. Later ones are its consequences.
func (l *natsLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error(text)
	select {
	case l.fatal <- text:
	default:
	}
}

// mongoLog passes only warnings and errors of FerretDB, which logs every connection at a lower level. It applies attributes
// and groups only when a line is written: FerretDB adds each statement with all its values to a logger before it checks the
// level.
type mongoLog struct {
	to   slog.Handler
	with func(slog.Handler) slog.Handler // applies attributes and groups; nil for none
}

func newMongoLog(log *slog.Logger) *slog.Logger { return slog.New(mongoLog{to: log.Handler()}) }

// Enabled implements slog.Handler.
func (l mongoLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && l.to.Enabled(ctx, level)
}

// Handle implements slog.Handler. It drops error replies, which FerretDB logs in full: the client receives them anyway, and
// they contain customers' data.
func (l mongoLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "Response header: ") || strings.HasPrefix(r.Message, "Response message:") {
		return nil
	}
	to := l.to
	if l.with != nil {
		to = l.with(to)
	}
	return to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l mongoLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return l.adding(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (l mongoLog) WithGroup(name string) slog.Handler {
	return l.adding(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l mongoLog) adding(more func(slog.Handler) slog.Handler) slog.Handler {
	return mongoLog{to: l.to, with: func(h slog.Handler) slog.Handler {
		if l.with != nil {
			h = l.with(h)
		}
		return more(h)
	}}
}
