package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/failpoint"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// Lane is the name of the lane that archives.
const Lane = "archive"

// Config says where and how the archive is written.
type Config struct {
	DB *mongo.Database
	// Sync makes what was written last, for a database that does not do so before it answers; default: none.
	Sync   func() error
	Window time.Duration // how long messages are gathered before they are written; default 2 s
}

// Batch returns the lane that archives the log. It goes on where the archive ends, whatever its checkpoint says: a database
// that was replaced by an older backup gets everything again.
func Batch(l *eventlog.Log, config Config) worker.Batch {
	a := New(config.DB)
	return worker.Batch{
		Name: Lane, Kind: worker.KindArchive, Window: config.Window,
		Prepare: func(ctx context.Context, _ uint64) (uint64, error) {
			if err := a.CheckHistory(ctx, l); err != nil {
				return 0, err
			}
			head, err := a.Head(ctx)
			return head.Last, err
		},
		Handle: func(ctx context.Context, items []*worker.Item) error {
			messages := make([]Archived, 0, len(items))
			for _, item := range items {
				messages = append(messages, From(item.Message))
			}
			err := a.Append(ctx, messages)
			if errors.Is(err, ErrNotContiguous) { // the database was replaced, or a writer that lost its lease put the head back
				return fmt.Errorf("%w: %w", worker.ErrReposition, err)
			}
			if err != nil {
				return err
			}
			failpoint.AtPlace(Lane, "archive.written")
			if config.Sync == nil {
				return nil
			}
			return config.Sync() // else a power cut could take what the checkpoint says is archived
		},
	}
}
