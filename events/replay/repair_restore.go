package replay

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/archive"
)

// asideSuffix is added to the archive's name for what the log went on without, and a number the second time.
const asideSuffix = "_aside"

// restore gives both copies back what they have lost. Cut off at any point, the next one goes on.
func (r Repair) restore(ctx context.Context, c *copies) (err error) {
	if c.report.Aside, err = c.archive.FinishAside(ctx); err != nil {
		return err
	}
	if err := r.restoreArchive(ctx, c); err != nil {
		return err
	}
	if len(c.lost)+len(c.ahead) == 0 {
		return nil
	}
	if err := r.Log.checkStopped(ctx); err != nil {
		return err
	}
	// Before anything is appended: a repair that is cut off leaves a log that ends, or forks, further on.
	if err := r.setBack(ctx, c); err != nil || len(c.lost) == 0 {
		return err
	}
	if err := r.restoreLog(ctx, c); err != nil || c.plan.exact {
		return err
	}
	return r.follow(ctx, c)
}

// restoreArchive writes from the log what the archive has lost.
func (r Repair) restoreArchive(ctx context.Context, c *copies) error {
	if len(c.missing) == 0 {
		return nil
	}
	wanted := make(map[uint64]bool, len(c.missing))
	for _, sequence := range c.missing {
		wanted[sequence] = true
	}
	return r.copyToArchive(ctx, c, c.missing[0], c.missing[len(c.missing)-1], func(sequence uint64) bool { return wanted[sequence] })
}

// archiveAtOnce is how many messages are in memory on their way into the archive.
const archiveAtOnce = 5000

// copyToArchive writes a part of the log into the archive, and says in the archive's head that it goes so far.
func (r Repair) copyToArchive(ctx context.Context, c *copies, from, to uint64, wanted func(uint64) bool) error {
	var some []archive.Archived
	flush := func() error {
		err := c.archive.Restore(ctx, some)
		some = some[:0]
		return err
	}
	var last archive.Archived
	err := r.Log.Each(ctx, Range{From: from, To: to}, func(m Message) error {
		last = archive.From(m)
		r.tell("restore archive", m.Sequence, to)
		if !wanted(m.Sequence) {
			return nil
		}
		if some = append(some, last); len(some) < archiveAtOnce {
			return nil
		}
		return flush()
	})
	if err := errors.Join(err, flush()); err != nil || last.Sequence == 0 {
		return err
	}
	return c.archive.AdvanceHead(ctx, last.Sequence, last.EventID())
}

// restoreLog appends what the log has lost, each event as it was: with its id and its number among its entity's events.
func (r Repair) restoreLog(ctx context.Context, c *copies) error {
	if len(c.plan.restore) == 0 {
		return nil
	}
	wanted := make(map[uint64]bool, len(c.plan.restore))
	for _, e := range c.plan.restore {
		wanted[e.sum] = true
	}
	back := writeBack{reader: r.Log, exact: c.plan.exact, compared: c.report.Log, ends: map[string]uint64{}}
	done, total := uint64(0), uint64(len(c.plan.restore))
	r.tell("restore log", done, total)
	err := c.archive.Each(ctx, c.fork(), func(a archive.Archived) error {
		if !wanted[sumOfArchived(a)] {
			return nil
		}
		done++
		r.tell("restore log", done, total)
		return back.append(ctx, a)
	})
	return errors.Join(err, back.await(ctx, 0))
}

// follow makes the archive what the log is from the fork on, and keeps what it held there in a collection beside it.
func (r Repair) follow(ctx context.Context, c *copies) error {
	aside, err := r.aside(ctx)
	if err != nil {
		return err
	}
	if err := c.archive.SetAside(ctx, c.fork(), aside); err != nil {
		return err
	}
	c.report.Aside = aside.Name()
	last, err := r.Log.Last(ctx)
	if err != nil {
		return err
	}
	return r.copyToArchive(ctx, c, c.fork(), last, func(uint64) bool { return true })
}

// aside returns a collection beside the archive that holds nothing yet. Its chunks go by their sequences: where a backup was
// put back before, the chunks of now would replace those of then.
func (r Repair) aside(ctx context.Context) (*mongo.Collection, error) {
	name := archive.Collection + asideSuffix
	for n := 2; ; n++ {
		collection := r.DB.Collection(name)
		if err := collection.FindOne(ctx, bson.D{}).Err(); errors.Is(err, mongo.ErrNoDocuments) {
			return collection, nil
		} else if err != nil {
			return nil, fmt.Errorf("look into %s: %w", name, err)
		}
		name = fmt.Sprintf("%s%s_%d", archive.Collection, asideSuffix, n)
	}
}
