package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
)

// look reports whether an earlier restore of this backup was cut off here. It returns an error when something else is here.
func (r Restore) look(ctx context.Context) (continued bool, err error) {
	if err := r.Log.checkStopped(ctx); err != nil {
		return false, err
	}
	head, err := archive.New(r.DB).Head(ctx)
	if err != nil {
		return false, err
	}
	if head.Restoring != nil {
		if head.Restoring.Backup != r.Backup.ID {
			return false, fmt.Errorf("a restore of another backup, up to %d, was cut off: %w", head.Restoring.Cut, ErrOtherBackup)
		}
		return true, nil
	}
	inBroker, err := r.heldByBroker(ctx)
	if err != nil {
		return false, err
	}
	inDB, err := r.heldByDatabase(ctx)
	if err != nil {
		return false, err
	}
	if found := append(inBroker, inDB...); len(found) > 0 {
		return false, fmt.Errorf("%w; found: %s", ErrNotEmpty, strings.Join(found, ", "))
	}
	return false, nil
}

// heldByBroker names what stands in the streams and among the checkpoints.
func (r Restore) heldByBroker(ctx context.Context) (found []string, err error) {
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
		// A process that was started to make the streams leaves checkpoints that say nothing.
		if c.Position > 0 || c.Read > 0 || len(c.State) > 0 && string(c.State) != "[]" {
			lanes++
		}
	}
	if lanes > 0 {
		found = append(found, fmt.Sprintf("checkpoints of %d lanes", lanes))
	}
	return found, err
}

// heldByDatabase names the collections that are not empty.
func (r Restore) heldByDatabase(ctx context.Context) (found []string, err error) {
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
			return nil, fmt.Errorf("look into %s: %w", name, err)
		}
		found = append(found, "documents in "+name)
	}
	return found, nil
}
