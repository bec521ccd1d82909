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

// Lane is the name of the lane that writes the archive.
const Lane = "archive"

// Config says where and how the archive is written.
type Config struct {
	DB *mongo.Database
	// Sync flushes earlier writes to disk, for a database that acknowledges a write before it is on disk; default: none.
	Sync   func() error
	Window time.Duration // how long messages are gathered before they are written; default 2 s
}

// Batch returns the lane that archives the log. It continues at the end of the archive and ignores its checkpoint: a database that
// an older backup replaced gets the missing messages again.
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
			if errors.Is(err, ErrNotContiguous) { // the database was replaced, or a writer without a lease moved the head back
				return fmt.Errorf("%w: %w", worker.ErrReposition, err)
			}
			if err != nil {
				return err
			}
			failpoint.AtPlace(Lane, "archive.written")
			if config.Sync == nil {
				return nil
			}
			return config.Sync() // before the checkpoint, which must not be ahead of the archive after a power cut
		},
	}
}
