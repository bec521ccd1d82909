package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/backup"
)

// Restore writes a backup into an empty installation: an empty broker and an empty database, and no running process.
//
//	check ─► secrets ─► mark the archive ─► log ─► dead letters ─► set-aside messages ─► checkpoints ─► remove the mark
//
// The mark prevents processes from starting on an incomplete log. An interrupted restore is run again: it compares the existing events
// with the backup, one by one, and continues after them.
//
// Every message gets its old sequence, id and revision. Only the time at which the broker stored it is new, so the time of an event is
// the one in its envelope.
type Restore struct {
	Backup   *backup.Backup
	DB       *mongo.Database
	Log      *Reader
	Progress func(stage string, done, total uint64) // default: none
	// Secrets stores the secrets of the backup. It is called after the installation was found empty and before anything else is
	// written, and again when a restore is continued. Default: secrets are not restored.
	Secrets func([]byte) error
}

// RestoreReport is the result of a restore.
type RestoreReport struct {
	Cut         uint64  `json:"cut"` // the end of the log
	DeadLetters uint64  `json:"dead_letters"`
	Lanes       uint64  `json:"lanes"`
	Aside       uint64  `json:"aside"`
	Secrets     bool    `json:"secrets"`
	Continued   bool    `json:"continued"` // an earlier restore was interrupted
	Seconds     float64 `json:"seconds"`
}

// Run restores the backup. It returns [ErrRunning], [ErrNotEmpty] or [ErrOtherBackup] before it changes anything, and
// [ErrConcurrentAppend] when another process appends during the restore.
func (r Restore) Run(ctx context.Context) (RestoreReport, error) {
	start := time.Now()
	files := r.Backup.Files
	report := RestoreReport{Cut: r.Backup.Cut, DeadLetters: files[backup.DeadLetters].Lines, Lanes: files[backup.Checkpoints].Lines,
		Aside: files[backup.Aside].Lines}
	var err error
	if report.Continued, err = r.check(ctx); err != nil {
		return report, fmt.Errorf("restore: %w", err)
	}
	if report.Secrets, err = r.write(ctx); err != nil {
		return report, fmt.Errorf("restore: %w", err)
	}
	report.Seconds = time.Since(start).Seconds()
	return report, nil
}

// check reports whether an earlier restore of this backup was interrupted here. It returns an error when the installation is running
// or contains other data.
func (r Restore) check(ctx context.Context) (continued bool, err error) {
	if err := r.Log.checkStopped(ctx); err != nil {
		return false, err
	}
	head, err := archive.New(r.DB).Head(ctx)
	if err != nil {
		return false, err
	}
	if head.Restoring != nil {
		if head.Restoring.Backup != r.Backup.ID {
			return false, fmt.Errorf("a restore of another backup, up to %d, was interrupted: %w", head.Restoring.Cut, ErrOtherBackup)
		}
		return true, nil
	}
	inBroker, err := r.brokerContents(ctx)
	if err != nil {
		return false, err
	}
	inDB, err := r.databaseContents(ctx)
	if err != nil {
		return false, err
	}
	if found := append(inBroker, inDB...); len(found) > 0 {
		return false, fmt.Errorf("%w; found: %s", ErrNotEmpty, strings.Join(found, ", "))
	}
	return false, nil
}

// brokerContents describes the contents of the streams and checkpoints.
func (r Restore) brokerContents(ctx context.Context) (found []string, err error) {
	last, err := r.Log.Last(ctx)
	if err != nil {
		return nil, err
	}
	if last > 0 {
		found = append(found, fmt.Sprintf("%d events in %s", last, events.StreamShop))
	}
	if last, err = r.Log.LastDeadLetter(ctx); err != nil {
		return nil, err
	}
	if last > 0 {
		found = append(found, fmt.Sprintf("%d dead letters", last))
	}
	checkpoints, err := r.Log.log.Checkpoints(ctx)
	lanes := 0
	for _, c := range checkpoints {
		// The process that created the streams leaves checkpoints without a position.
		if c.Position > 0 || c.Read > 0 || len(c.State) > 0 && string(c.State) != "[]" {
			lanes++
		}
	}
	if lanes > 0 {
		found = append(found, fmt.Sprintf("checkpoints of %d lanes", lanes))
	}
	return found, err
}

// databaseContents describes the collections that are not empty.
func (r Restore) databaseContents(ctx context.Context) (found []string, err error) {
	names, err := r.DB.ListCollectionNames(ctx, bson.D{})
	if err != nil {
		return nil, fmt.Errorf("list collections: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		err := r.DB.Collection(name).FindOne(ctx, bson.D{}).Err()
		if errors.Is(err, mongo.ErrNoDocuments) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		found = append(found, "documents in "+name)
	}
	return found, nil
}

// write restores everything, and reports whether the backup contained secrets.
func (r Restore) write(ctx context.Context) (secrets bool, err error) {
	// Before the mark: if Secrets fails, nothing has changed.
	if secrets, err = r.restoreSecrets(); err != nil {
		return false, err
	}
	a := archive.New(r.DB)
	if err := a.BeginRestore(ctx, archive.Restoring{Backup: r.Backup.ID, Cut: r.Backup.Cut}); err != nil {
		return false, err
	}
	for _, name := range []string{backup.Log, backup.DeadLetters} {
		if err := r.restoreStream(ctx, name); err != nil {
			return false, err
		}
	}
	if err := r.restoreAside(ctx); err != nil {
		return false, err
	}
	// After the log, so that no lane is ahead of it after an interruption.
	if err := r.restoreCheckpoints(ctx); err != nil {
		return false, err
	}
	return secrets, a.EndRestore(ctx)
}

func (r Restore) restoreSecrets() (bool, error) {
	data, err := r.Backup.Secrets()
	if err != nil || data == nil || r.Secrets == nil {
		return false, err
	}
	return true, r.Secrets(data)
}

// restoreStream appends the messages of a file that its stream lacks.
func (r Restore) restoreStream(ctx context.Context, name string) (err error) {
	records, err := r.Backup.Records(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	total := r.Backup.Files[name].Lines
	done, err := r.skipRestored(ctx, name, records)
	if err != nil {
		return err
	}
	w := rewriter{reader: r.Log, exact: true}
	for {
		var a archive.Archived
		found, err := records.Next(&a)
		if err != nil {
			return err
		}
		if !found {
			return w.await(ctx, 0)
		}
		done++
		reportProgress(r.Progress, "restore "+streamOf[name], done, total)
		if err := w.append(ctx, a); err != nil {
			return err
		}
	}
}

// skipRestored reads the records that the stream has already, and returns their number.
func (r Restore) skipRestored(ctx context.Context, name string, records *backup.Records) (done uint64, err error) {
	err = r.Log.all(ctx, streamOf[name], func(m Message) error {
		var a archive.Archived
		found, err := records.Next(&a)
		if err != nil {
			return err
		}
		if !found || !sameMessage(a, archive.From(m)) {
			return fmt.Errorf("%s has another event at %d: %w", streamOf[name], m.Sequence, ErrOtherBackup)
		}
		done++
		return nil
	})
	return done, err
}

// restoreAside restores the messages that repairs had set aside, in batches.
func (r Restore) restoreAside(ctx context.Context) (err error) {
	records, err := r.Backup.Records(backup.Aside)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	var collection string
	var batch []archive.Archived
	flush := func() error {
		err := archive.NewInCollection(r.DB.Collection(collection)).Restore(ctx, batch)
		batch = batch[:0]
		return err
	}
	for {
		var a asideRecord
		found, err := records.Next(&a)
		if err != nil {
			return err
		}
		if len(batch) > 0 && (!found || a.Collection != collection || len(batch) == archiveBatch) {
			if err := flush(); err != nil {
				return err
			}
		}
		if !found {
			return nil
		}
		collection, batch = a.Collection, append(batch, a.Message)
	}
}

// restoreCheckpoints restores the checkpoints of the lanes.
func (r Restore) restoreCheckpoints(ctx context.Context) (err error) {
	records, err := r.Backup.Records(backup.Checkpoints)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	for {
		var c checkpointRecord
		found, err := records.Next(&c)
		if err != nil || !found {
			return err
		}
		checkpoint, err := r.Log.log.LoadCheckpoint(ctx, c.Lane)
		if err != nil {
			return err
		}
		checkpoint.Position, checkpoint.Read, checkpoint.State, checkpoint.CircuitOpen = c.Position, c.Read, c.State, c.Hold
		if err := r.Log.log.SaveCheckpoint(ctx, &checkpoint); err != nil {
			return err
		}
	}
}

// sameMessage reports whether two messages are equal except for the headers of their append.
func sameMessage(a, b archive.Archived) bool {
	return a.Sequence == b.Sequence && a.Subject == b.Subject && a.EventID() == b.EventID() && string(a.Body()) == string(b.Body())
}

// streamOf maps a file of a backup to its stream.
var streamOf = map[string]string{backup.Log: events.StreamShop, backup.DeadLetters: events.StreamDeadLetters}
