package process

import (
	"fmt"
	"log/slog"

	"tillstream/events/failpoint"
)

// Failpoints are the settings by which a test kills or stops a process at a chosen point; see package failpoint. They are
// for tests only, so the help does not show them.
type Failpoints struct {
	Kill string `env:"FAILPOINT_KILL" hidden:"" name:"failpoint-kill" help:"Kill the process at this point: point[@place][:n]."`
	Stop string `env:"FAILPOINT_STOP" hidden:"" name:"failpoint-stop" help:"Stop the process at this point until SIGCONT."`
	File string `env:"FAILPOINT_FILE" hidden:"" name:"failpoint-file" help:"Read such a point from this file, whenever one is passed."`
}

// Arm enables the configured failpoints.
func (f Failpoints) Arm(logger *slog.Logger) error {
	if f == (Failpoints{}) {
		return nil
	}
	if err := failpoint.Arm(failpoint.Config{Kill: f.Kill, Stop: f.Stop, File: f.File}); err != nil {
		return fmt.Errorf("enable failpoints: %w", err)
	}
	logger.Warn("failpoints enabled", "kill", f.Kill, "stop", f.Stop, "file", f.File)
	return nil
}
