package archive

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	eventlog "tillstream/events/log"
)

// Restoring says that the log is being restored from a backup, or that this was cut off.
type Restoring struct {
	Backup string `bson:"backup"` // id of the backup
	Cut    uint64 `bson:"cut"`    // sequence at which it ends
}

// errRestoring is returned while a backup is being restored. For a process it is [eventlog.ErrTruncated]: it must not go on. But
// what helps is not a repair.
type errRestoring struct{ Restoring }

func (e errRestoring) Error() string {
	return fmt.Sprintf("a restore of a backup (up to %d) is under way or was cut off: let it end, or run `ops restore` of the same backup again", e.Cut)
}

// Is makes it one of the errors after which no process goes on.
func (e errRestoring) Is(target error) bool { return target == eventlog.ErrTruncated }

// BeginRestore notes in the head of an empty archive that a backup is being restored. Until EndRestore no process starts on
// the log and nothing is archived: a shop that went on from half a backup would use the sequences of the other half.
func (a *Archive) BeginRestore(ctx context.Context, r Restoring) error {
	return a.putHead(ctx, Head{Restoring: &r})
}

// EndRestore takes the note away. The archive is empty then and is written from the log again.
func (a *Archive) EndRestore(ctx context.Context) error {
	if _, err := a.collection.DeleteOne(ctx, bson.D{{Key: "_id", Value: headID}}); err != nil {
		return fmt.Errorf("delete head of %s: %w", a.collection.Name(), err)
	}
	return nil
}
