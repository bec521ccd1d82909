package backup

import (
	"errors"
	"fmt"
	"time"

	"tillstream/events"
)

// Format is the version of the files. A program reads this version and older ones.
const Format = 1

// The files of a backup.
const (
	Log         = "log.jsonl.zst"
	DeadLetters = "deadletters.jsonl.zst"
	Checkpoints = "checkpoints.jsonl.zst"
	Aside       = "aside.jsonl.zst"
	Secrets     = "secrets.json" // only for a shop in one process

	manifestFile = "manifest.json"
	// unfinishedFile is renamed to the manifest at the end. It marks a backup that is being written or was interrupted.
	unfinishedFile = manifestFile + ".unfinished"
)

// required are the files that every backup has.
var required = []string{Log, DeadLetters, Checkpoints, Aside}

var (
	// ErrExists is returned by Create when the directory is not empty.
	ErrExists = errors.New("the directory is not empty")
	// ErrUnfinished is returned by Create and Open when the directory contains an unfinished backup.
	ErrUnfinished = errors.New("unfinished backup")
	// ErrNoBackup is returned by Open when the directory contains no backup.
	ErrNoBackup = errors.New("no backup")
	// ErrDamaged is returned when a file differs from its entry in the manifest.
	ErrDamaged = errors.New("damaged backup")
	// ErrNewer is returned by Open when a newer program wrote the backup.
	ErrNewer = errors.New("the backup is newer than this program")
)

// Manifest describes a backup.
type Manifest struct {
	Format   int             `json:"format"`
	Topology int             `json:"topology"` // of the program that wrote it: see [events.Topology]
	ID       string          `json:"id"`       // unique
	Cut      uint64          `json:"cut"`      // the last sequence of the log in it
	Begun    time.Time       `json:"begun"`
	Finished time.Time       `json:"finished"`
	Files    map[string]File `json:"files"` // by name
}

// File is one file of a backup.
type File struct {
	Lines  uint64 `json:"lines"` // records; 0 for a file without records, such as the secrets
	Bytes  int64  `json:"bytes"` // on disk
	SHA256 string `json:"sha256"`
}

// Bytes returns the size of the backup on disk, without the manifest.
func (m Manifest) Bytes() (total int64) {
	for _, f := range m.Files {
		total += f.Bytes
	}
	return total
}

// check returns an error for a backup that this program cannot restore.
func (m Manifest) check() error {
	switch {
	case m.Format < 1 || m.ID == "":
		return fmt.Errorf("%w: %s lacks format or id", ErrDamaged, manifestFile)
	case m.Format > Format:
		return fmt.Errorf("%w: it has format %d, this program reads up to %d; use the ops of the release that wrote it", ErrNewer, m.Format, Format)
	case m.Topology > events.Topology:
		return fmt.Errorf("%w: its events have topology %d, this program reads up to %d; use the ops of the release that wrote it",
			ErrNewer, m.Topology, events.Topology)
	}
	for _, name := range required {
		if _, ok := m.Files[name]; !ok {
			return fmt.Errorf("%w: %s does not name %s", ErrDamaged, manifestFile, name)
		}
	}
	if lines := m.Files[Log].Lines; lines != m.Cut {
		return fmt.Errorf("%w: %s: the log has %d events and ends at %d", ErrDamaged, manifestFile, lines, m.Cut)
	}
	return nil
}
