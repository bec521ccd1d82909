package process

import (
	"fmt"
	"log/slog"

	"tillstream/events/failpoint"
)

// Traps let a test say where a process dies or stands still; see package failpoint. Nobody needs them otherwise, so the
// help does not show them.
type Traps struct {
	CrashAt   string `env:"CRASH_AT" hidden:"" help:"Kill the process at this point: point[@place][:n]."`
	StopAt    string `env:"STOP_AT" hidden:"" help:"Have the process stand still at this point until SIGCONT."`
	CrashFile string `env:"CRASH_FILE" hidden:"" help:"Look into this file for such a point whenever one is passed."`
}

// Lay arms the process, if it is to be.
func (t Traps) Lay(logger *slog.Logger) error {
	if t == (Traps{}) {
		return nil
	}
	if err := failpoint.Arm(failpoint.Traps{Kill: t.CrashAt, Stop: t.StopAt, File: t.CrashFile}); err != nil {
		return fmt.Errorf("lay traps: %w", err)
	}
	logger.Warn("this process has traps laid: it will be hurt", "crash_at", t.CrashAt, "stop_at", t.StopAt, "crash_file", t.CrashFile)
	return nil
}
