package log

import (
	"context"
	"errors"
	"time"
)

// StallTimeout is how long a read waits for the next message that the broker says it has. It exceeds the time in which a cluster elects
// another leader.
const StallTimeout = 30 * time.Second

// ErrStalled is returned when the broker does not deliver messages that it says it has, for example because its files are damaged.
var ErrStalled = errors.New("the broker delivers nothing, although it has messages: its files may be damaged, see \"The log has a gap\" in the runbook")

// Watchdog ends a read that makes no progress. The time in which the caller handles a message does not count.
type Watchdog struct {
	timer   *time.Timer
	timeout time.Duration
	cancel  context.CancelCauseFunc
}

// NewWatchdog returns a context that ends with [ErrStalled] as its cause when the read waits longer than a timeout. The caller
// calls Stop at the end.
func NewWatchdog(ctx context.Context, timeout time.Duration) (context.Context, *Watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &Watchdog{timer: time.AfterFunc(timeout, func() { cancel(ErrStalled) }), timeout: timeout, cancel: cancel}
}

// Handle calls fn with a message that has arrived, and then waits for the next one.
func (w *Watchdog) Handle(fn func() error) error {
	w.timer.Stop()
	defer w.timer.Reset(w.timeout)
	return fn()
}

// Stop ends the context.
func (w *Watchdog) Stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// ReadError returns why the context of a read has ended: [ErrStalled] or the error of ctx.
func ReadError(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
		return cause
	}
	return ctx.Err()
}
