package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/backup"
)

// Restore puts a backup into an empty installation: broker and database hold nothing, and no process is at work.
//
//	look ─► secrets ─► note in the database ─► log ─► dead letters ─► set aside ─► checkpoints ─► the note is taken away
//
// The note keeps processes from starting on half of a log. A restore that was cut off is run again: it compares what is there
// with the backup, event for event, and goes on behind it.
//
// Every message comes back under its old sequence, with its id and its number among its entity's events. Only the time at
// which the broker stored it is a new one, so the time of an event is the one in its envelope.
type Restore struct {
	Backup   *backup.Backup
	DB       *mongo.Database
	Log      *Reader
	Progress func(stage string, done, total uint64) // default: not reported
	// Secrets keeps the backup's secrets for the shop that is started next. It runs after the installation was found empty
	// and before anything else is written, and again when the restore is run again; nil: they are not restored.
	Secrets func([]byte) error
}

// RestoreReport is what a restore has put back.
type RestoreReport struct {
	Cut         uint64  `json:"cut"` // the log ends here
	DeadLetters uint64  `json:"dead_letters"`
	Lanes       uint64  `json:"lanes"`
	Aside       uint64  `json:"aside"`
	Secrets     bool    `json:"secrets"`
	Continued   bool    `json:"continued"` // an earlier restore had been cut off
	Seconds     float64 `json:"seconds"`
}

// Run restores. It returns [ErrRunning], [ErrNotEmpty] or [ErrOtherBackup], having changed nothing, and [ErrConcurrentAppend] when
// another program appends meanwhile.
func (r Restore) Run(ctx context.Context) (RestoreReport, error) {
	start := time.Now()
	files := r.Backup.Files
	report := RestoreReport{Cut: r.Backup.Cut, DeadLetters: files[backup.DeadLetters].Lines, Lanes: files[backup.Checkpoints].Lines,
		Aside: files[backup.Aside].Lines}
	var err error
	if report.Continued, err = r.look(ctx); err != nil {
		return report, fmt.Errorf("restore: %w", err)
	}
	if report.Secrets, err = r.write(ctx); err != nil {
		return report, fmt.Errorf("restore: %w", err)
	}
	report.Seconds = time.Since(start).Seconds()
	return report, nil
}

// write puts everything back, and reports whether secrets were among it.
func (r Restore) write(ctx context.Context) (secrets bool, err error) {
	// Before the note: where the secrets are refused nothing has changed.
	if secrets, err = r.secrets(); err != nil {
		return false, err
	}
	a := archive.New(r.DB)
	if err := a.BeginRestore(ctx, archive.Restoring{Backup: r.Backup.ID, Cut: r.Backup.Cut}); err != nil {
		return false, err
	}
	for _, name := range []string{backup.Log, backup.DeadLetters} {
		if err := r.messages(ctx, name); err != nil {
			return false, err
		}
	}
	if err := r.aside(ctx); err != nil {
		return false, err
	}
	// After the log: a lane is never ahead of it, whenever this is cut off.
	if err := r.checkpoints(ctx); err != nil {
		return false, err
	}
	return secrets, a.EndRestore(ctx)
}

func (r Restore) secrets() (bool, error) {
	data, err := r.Backup.Secrets()
	if err != nil || data == nil || r.Secrets == nil {
		return false, err
	}
	return true, r.Secrets(data)
}

// messages appends what a stream lacks of its file.
func (r Restore) messages(ctx context.Context, name string) (err error) {
	records, err := r.Backup.Records(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	total := r.Backup.Files[name].Lines
	done, err := r.compare(ctx, name, records)
	if err != nil {
		return err
	}
	back := writeBack{reader: r.Log, exact: true}
	for {
		var a archive.Archived
		found, err := records.Next(&a)
		if err != nil {
			return err
		}
		if !found {
			return back.await(ctx, 0)
		}
		done++
		tell(r.Progress, "restore "+streamOf[name], done, total)
		if err := back.append(ctx, a); err != nil {
			return err
		}
	}
}

// compare reads on in a file as far as its stream goes already, and returns how far that is.
func (r Restore) compare(ctx context.Context, name string, records *backup.Records) (done uint64, err error) {
	err = r.Log.all(ctx, streamOf[name], func(m Message) error {
		var a archive.Archived
		found, err := records.Next(&a)
		if err != nil {
			return err
		}
		if !found || !asArchived(a, archive.From(m)) {
			return fmt.Errorf("%s has another event at %d: %w", streamOf[name], m.Sequence, ErrOtherBackup)
		}
		done++
		return nil
	})
	return done, err
}

// aside puts back what repairs had set aside, as many messages at once as a repair copies.
func (r Restore) aside(ctx context.Context) (err error) {
	records, err := r.Backup.Records(backup.Aside)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	var collection string
	var some []archive.Archived
	flush := func() error {
		err := archive.NewInCollection(r.DB.Collection(collection)).Restore(ctx, some)
		some = some[:0]
		return err
	}
	for {
		var a asideRecord
		found, err := records.Next(&a)
		if err != nil {
			return err
		}
		if len(some) > 0 && (!found || a.Collection != collection || len(some) == archiveAtOnce) {
			if err := flush(); err != nil {
				return err
			}
		}
		if !found {
			return nil
		}
		collection, some = a.Collection, append(some, a.Message)
	}
}

// checkpoints puts the lanes where they were.
func (r Restore) checkpoints(ctx context.Context) (err error) {
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

// asArchived reports whether two messages say the same in the same place; how each was once appended does not count.
func asArchived(a, b archive.Archived) bool {
	return a.Sequence == b.Sequence && a.Subject == b.Subject && a.EventID() == b.EventID() && string(a.Body()) == string(b.Body())
}

// streamOf is the stream that a file of a backup is restored into.
var streamOf = map[string]string{backup.Log: events.StreamShop, backup.DeadLetters: events.StreamDeadLetters}
