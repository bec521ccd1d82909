package archive

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	eventlog "tillstream/events/log"
)

// Restoring marks the log as being written from a backup or, by a repair, from the archive. It also marks a log that an
// interrupted restore or repair has left.
type Restoring struct {
	Backup string `bson:"backup"`        // id of the backup; "" for a repair
	Cut    uint64 `bson:"cut"`           // sequence at which the log ends afterwards
	Log    string `bson:"log,omitempty"` // for a repair: the configuration of the stream, as JSON
}

// IsRepair reports whether a repair writes the log from the archive.
func (r Restoring) IsRepair() bool { return r.Log != "" }

// restoringError matches [eventlog.ErrTruncated], after which a process must stop, but names the command that removes the mark.
type restoringError struct{ Restoring }

func (e restoringError) Error() string {
	work, command := "restore of a backup", "`ops restore` of the same backup"
	if e.IsRepair() {
		work, command = "repair that writes the log again", "`ops repair --yes`"
	}
	return fmt.Sprintf("a %s (up to %d) is running or was interrupted: wait until it ends, or run %s again", work, e.Cut, command)
}

// Is reports whether target is [eventlog.ErrTruncated].
func (e restoringError) Is(target error) bool { return target == eventlog.ErrTruncated }

// BeginRestore marks an empty archive. Until EndRestore no process starts on the log and nothing is archived: a shop that started
// on half of a backup would use the sequences of the other half.
func (a *Archive) BeginRestore(ctx context.Context, r Restoring) error {
	return a.putHead(ctx, Head{Restoring: &r})
}

// EndRestore removes the mark. The empty archive is then written from the log.
func (a *Archive) EndRestore(ctx context.Context) error {
	if _, err := a.collection.DeleteOne(ctx, bson.D{{Key: "_id", Value: headID}}); err != nil {
		return fmt.Errorf("delete head of %s: %w", a.collection.Name(), err)
	}
	return nil
}

// BeginRewrite marks a complete archive, from which a repair writes the whole log again. Until EndRewrite no process starts on the
// log. The archive must end with the given event.
func (a *Archive) BeginRewrite(ctx context.Context, last Archived, config string) error {
	return a.putHead(ctx, Head{Last: last.Sequence, EventID: last.EventID(), Restoring: &Restoring{Cut: last.Sequence, Log: config}})
}

// EndRewrite removes the mark and keeps the archive.
func (a *Archive) EndRewrite(ctx context.Context) error {
	head, err := a.Head(ctx)
	if err != nil || head.Restoring == nil {
		return err
	}
	head.Restoring = nil
	return a.putHead(ctx, head)
}
