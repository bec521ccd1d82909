package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/archive"
	"tillstream/events/backup"
	"tillstream/events/worker"
)

// Backup writes a backup of a running shop.
//
//	read checkpoints ─► read end of dead letters ─► read end of the log: the cut ─► write log and dead letters up to there ─► write set-aside messages
//
// This order makes the backup consistent. Checkpoints come first, so that none is beyond the cut: after a restore, a lane finds every
// event that it had handled, and handles the later ones again, which is idempotent. The end of the dead letters is read after
// the checkpoints, so that the dead letter of every skipped event is included, and before the cut, so that the log contains
// the effects of every redrive.
//
// Events that the log lacks come from the archive. Projections, the archive and the checkpoints of their lanes are omitted,
// because they are computed from the log.
type Backup struct {
	DB       *mongo.Database
	Dir      string // must be empty or not exist
	Log      *Reader
	Progress func(stage string, done, total uint64) // default: none
	Secrets  []byte                                 // of a shop in one process; default none
}

// BackupReport is the result of a backup.
type BackupReport struct {
	Dir         string  `json:"dir"`
	Cut         uint64  `json:"cut"`          // last sequence of the log in the backup
	FromArchive uint64  `json:"from_archive"` // number of events that the log lacked and the archive had
	DeadLetters uint64  `json:"dead_letters"`
	Lanes       uint64  `json:"lanes"` // number of checkpoints
	Aside       uint64  `json:"aside"` // number of messages that repairs have set aside
	Secrets     bool    `json:"secrets"`
	Bytes       int64   `json:"bytes"`
	Seconds     float64 `json:"seconds"`
}

// checkpointRecord is a checkpoint in a backup.
type checkpointRecord struct {
	Lane     string          `json:"lane"`
	Position uint64          `json:"position"`
	Read     uint64          `json:"read"`
	State    json.RawMessage `json:"state,omitempty"`
	Hold     string          `json:"hold,omitempty"`
}

// asideRecord is a message that a repair has set aside, with its collection.
type asideRecord struct {
	Collection string           `json:"collection"`
	Message    archive.Archived `json:"message"`
}

// Run writes the backup, or deletes it when it fails. It returns the errors of [backup.Create], [ErrIncomplete], and
// [eventlog.ErrTruncated] when the log has lost its end, or after an interrupted repair or restore.
func (b Backup) Run(ctx context.Context) (BackupReport, error) {
	start := time.Now()
	report := BackupReport{Dir: b.Dir, Secrets: b.Secrets != nil}
	out, err := backup.Create(b.Dir, start)
	if err != nil {
		return report, err
	}
	var manifest backup.Manifest
	if err = b.write(ctx, out, &report); err == nil {
		manifest, err = out.Finish(report.Cut, time.Now())
	}
	if err != nil {
		if abandon := out.Abandon(); abandon != nil {
			err = errors.Join(err, fmt.Errorf("delete the unfinished backup: %w", abandon))
		}
		return report, fmt.Errorf("back up: %w", err)
	}
	report.DeadLetters, report.Lanes = manifest.Files[backup.DeadLetters].Lines, manifest.Files[backup.Checkpoints].Lines
	report.Aside, report.Bytes, report.Seconds = manifest.Files[backup.Aside].Lines, manifest.Bytes(), time.Since(start).Seconds()
	return report, nil
}

// write writes all files. [Backup] explains the order.
func (b Backup) write(ctx context.Context, out *backup.Writer, report *BackupReport) error {
	if err := archive.New(b.DB).CheckHistory(ctx, b.Log.log); err != nil {
		return err
	}
	checkpoints, furthest, err := b.checkpoints(ctx)
	if err != nil {
		return err
	}
	letters, err := b.Log.LastDeadLetter(ctx)
	if err != nil {
		return err
	}
	if report.Cut, err = b.Log.log.End(ctx, furthest); err != nil {
		return err
	}
	if report.Cut < furthest {
		return fmt.Errorf("the log ends at %d and a lane is at %d; ops repair sets the lane back", report.Cut, furthest)
	}
	for _, file := range []struct {
		name string
		fill func(add func(any) error) error
	}{
		{backup.Checkpoints, func(add func(any) error) error { return addAll(checkpoints, add) }},
		{backup.Log, func(add func(any) error) (err error) {
			report.FromArchive, err = b.copyLog(ctx, report.Cut, add)
			return err
		}},
		{backup.DeadLetters, func(add func(any) error) error { return b.copyDeadLetters(ctx, letters, add) }},
		{backup.Aside, func(add func(any) error) error { return b.copyAside(ctx, add) }},
	} {
		if err := out.Lines(file.name, file.fill); err != nil {
			return err
		}
	}
	if b.Secrets == nil {
		return nil
	}
	return out.Put(backup.Secrets, b.Secrets)
}

func addAll(checkpoints []checkpointRecord, add func(any) error) error {
	for _, c := range checkpoints {
		if err := add(c); err != nil {
			return err
		}
	}
	return nil
}

// checkpoints returns the checkpoints that a restore needs, and the furthest position of a lane.
func (b Backup) checkpoints(ctx context.Context) (kept []checkpointRecord, furthest uint64, err error) {
	all, err := b.Log.log.Checkpoints(ctx)
	for _, c := range all {
		// Projections and archive start at 1 again: at the old position they would omit events that the new database lacks.
		if kind := kindOf(c.Lane); kind == worker.KindProject || kind == worker.KindArchive {
			continue
		}
		kept = append(kept, checkpointRecord{Lane: c.Lane, Position: c.Position, Read: c.Read, State: c.State, Hold: c.CircuitOpen})
		furthest = max(furthest, c.Position, c.Read)
	}
	return kept, furthest, err
}

// copyLog writes every message up to the cut, and returns the number that came from the archive.
func (b Backup) copyLog(ctx context.Context, cut uint64, add func(any) error) (archived uint64, err error) {
	reportProgress(b.Progress, "log", 0, cut)
	if cut == 0 { // in a Range, 0 means the current end of the log
		return 0, nil
	}
	next := uint64(1)
	put := func(a archive.Archived) error {
		if a.Sequence > next {
			return errIncomplete(next, a.Sequence-1)
		}
		reportProgress(b.Progress, "log", next, cut)
		next++
		return add(a)
	}
	var unfilled error
	gap := func(from, to uint64) {
		if unfilled == nil {
			unfilled = b.fill(ctx, from, to, put)
			archived += to - from + 1
		}
	}
	err = b.Log.Each(ctx, Range{To: cut, Gap: gap}, func(m Message) error {
		if unfilled != nil {
			return unfilled
		}
		return put(archive.From(m))
	})
	if err = errors.Join(err, unfilled); err == nil && next <= cut {
		err = errIncomplete(next, cut)
	}
	return archived, err
}

// fill writes the messages of a gap from the archive.
func (b Backup) fill(ctx context.Context, from, to uint64, put func(archive.Archived) error) error {
	last := from - 1
	err := archive.New(b.DB).Each(ctx, from, func(a archive.Archived) error {
		if a.Sequence > to {
			return errEnd
		}
		last = a.Sequence
		return put(a)
	})
	if err != nil && !errors.Is(err, errEnd) {
		return err
	}
	if last < to {
		return errIncomplete(last+1, to)
	}
	return nil
}

func errIncomplete(from, to uint64) error {
	return fmt.Errorf("sequences %d to %d: %w", from, to, ErrIncomplete)
}

// copyDeadLetters writes the messages of DEADLETTERS up to a sequence that was read before the cut: later ones may refer to events that
// a restored log lacks. It renumbers the messages, because a restored stream has no gaps.
func (b Backup) copyDeadLetters(ctx context.Context, last uint64, add func(any) error) error {
	if last == 0 {
		return nil
	}
	number := uint64(0)
	var failed error
	err := b.Log.eachLetterMessage(ctx, Range{To: last}, func(m Message) {
		if failed != nil {
			return
		}
		number++
		letter := archive.From(m)
		letter.Sequence = number
		failed = add(letter)
	})
	return errors.Join(err, failed)
}

// copyAside writes the messages that repairs have set aside.
func (b Backup) copyAside(ctx context.Context, add func(any) error) error {
	names, err := b.DB.ListCollectionNames(ctx, bson.D{})
	if err != nil {
		return fmt.Errorf("list collections: %w", err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, archive.Collection+asideSuffix) {
			continue
		}
		err := archive.NewInCollection(b.DB.Collection(name)).Each(ctx, 0, func(a archive.Archived) error { return add(asideRecord{name, a}) })
		if err != nil {
			return err
		}
	}
	return nil
}
