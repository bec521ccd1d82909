package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tillstream/events/embedded/natsfile"
)

// ErrDamaged is returned when the server's files are damaged in a way that StartNATS cannot isolate.
var ErrDamaged = errors.New("damaged store")

// checkEvery is the interval between two log lines about a check that takes long. A million events take 1.2 s (measured with the
// files in memory).
const checkEvery = 5 * time.Second

// isolateDamage checks all files of a stopped server and isolates the damage that it finds. Without that, nats-server would
// delete every message after a damaged one, or crash.
func isolateDamage(dir string, log *slog.Logger) ([]natsfile.Damage, error) {
	reported := time.Now()
	found, err := natsfile.Check(context.Background(), dir, func(done, total int64) {
		if time.Since(reported) > checkEvery {
			reported = time.Now()
			log.Info("checking the files of the log", "done_bytes", done, "total_bytes", total)
		}
	})
	if errors.Is(err, natsfile.ErrUnsupported) {
		log.Warn("files of a stream not checked", "error", err)
		err = nil
	}
	for _, d := range found {
		report := log.Warn
		if d.Loss() {
			report = log.Error
		}
		report("damage in the broker's files", "damage", d, "file", d.File, "offset", d.Offset)
		if err == nil {
			err = d.Isolate()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w; the disk may be failing: copy %s to another disk, or move it away and restore the log "+
			"with `ops repair` (runbook: The broker's files are damaged)", ErrDamaged, err, dir)
	}
	return found, nil
}

// Damage returns the lost messages and settings that StartNATS has found, nil when there are none. The events of the shop that
// were lost are in the archive.
func (n *NATS) Damage() []natsfile.Damage { return n.damage }
