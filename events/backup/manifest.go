package backup

import (
	"errors"
	"fmt"
	"time"

	"tillstream/events"
)

// Format is the version of the files. A program reads this one and those before it.
const Format = 1

// The files of a backup.
const (
	Log         = "log.jsonl.zst"
	DeadLetters = "deadletters.jsonl.zst"
	Checkpoints = "checkpoints.jsonl.zst"
	Aside       = "aside.jsonl.zst"
	Secrets     = "secrets.json" // only of a shop in one process

	manifestFile = "manifest.json"
	// unfinishedFile becomes the manifest in the end. While it is there the backup is being written, or was cut off.
	unfinishedFile = manifestFile + ".unfinished"
)

// required are the files without which nothing can be restored.
var required = []string{Log, DeadLetters, Checkpoints, Aside}

var (
	// ErrExists is returned by Create when the directory holds something already.
	ErrExists = errors.New("the directory is taken")
	// ErrUnfinished is returned by Create and Open when the directory holds the beginning of a backup.
	ErrUnfinished = errors.New("unfinished backup")
	// ErrNoBackup is returned by Open when the directory holds no backup at all.
	ErrNoBackup = errors.New("no backup")
	// ErrDamaged is returned when a backup is not what was written.
	ErrDamaged = errors.New("damaged backup")
	// ErrNewer is returned by Open when a newer program has written the backup.
	ErrNewer = errors.New("the backup is newer than this program")
)

// Manifest says what a backup holds.
type Manifest struct {
	Format   int             `json:"format"`
	Topology int             `json:"topology"` // that the program knew which wrote it: see [events.Topology]
	ID       string          `json:"id"`       // tells this backup from all others
	Cut      uint64          `json:"cut"`      // the last sequence of the log that it holds
	Begun    time.Time       `json:"begun"`
	Finished time.Time       `json:"finished"`
	Files    map[string]File `json:"files"` // by name
}

// File is one file of a backup.
type File struct {
	Lines  uint64 `json:"lines"` // records; 0 of a file that has none, such as the secrets
	Bytes  int64  `json:"bytes"` // on disk
	SHA256 string `json:"sha256"`
}

// Bytes is how large the backup is on disk, without its manifest.
func (m Manifest) Bytes() (total int64) {
	for _, f := range m.Files {
		total += f.Bytes
	}
	return total
}

// check refuses what this program cannot restore.
func (m Manifest) check() error {
	switch {
	case m.Format < 1 || m.ID == "":
		return fmt.Errorf("%w: %s says neither format nor id", ErrDamaged, manifestFile)
	case m.Format > Format:
		return fmt.Errorf("%w: it has format %d, this program reads up to %d; use the ops of the version that wrote it", ErrNewer, m.Format, Format)
	case m.Topology > events.Topology:
		return fmt.Errorf("%w: its events are of topology %d, this program knows up to %d and would not understand them; use the ops of the version that wrote it",
			ErrNewer, m.Topology, events.Topology)
	}
	for _, name := range required {
		if _, ok := m.Files[name]; !ok {
			return fmt.Errorf("%w: %s does not name %s", ErrDamaged, manifestFile, name)
		}
	}
	if lines := m.Files[Log].Lines; lines != m.Cut {
		return fmt.Errorf("%w: %s says that the log has %d events and ends at %d", ErrDamaged, manifestFile, lines, m.Cut)
	}
	return nil
}
