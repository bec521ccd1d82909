package embedded

import (
	"fmt"
	"log/slog"
)

// natsLog hands what nats-server says to slog. Its notices are for people running a server of their own, so here
// they are details. A fatal message would end a stand-alone server; embedded it is remembered for StartNATS.
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

// Fatalf keeps the first message; the ones that follow are its consequences.
func (l *natsLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error(text)
	select {
	case l.fatal <- text:
	default:
	}
}
