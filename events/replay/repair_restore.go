package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/archive"
	eventlog "tillstream/events/log"
)

// asideSuffix is appended to the name of the archive for the collection with superseded events. Further collections get a number.
const asideSuffix = "_aside"

// damagedSuffix is appended to the name of the archive for the collection with chunks that cannot be unpacked.
const damagedSuffix = "_damaged"

// restore writes to both copies what they lack. After an interruption at any point, the next repair continues.
func (r Repair) restore(ctx context.Context, c *copies) (err error) {
	if c.report.Aside, err = c.archive.FinishAside(ctx); err != nil {
		return err
	}
	if err := c.archive.SetDamagedAside(ctx, c.report.DamagedChunks, r.DB.Collection(archive.Collection+damagedSuffix)); err != nil {
		return err
	}
	if err := r.restoreArchive(ctx, c); err != nil {
		return err
	}
	if len(c.lost)+len(c.ahead) == 0 && !c.hasGaps() && !c.report.Interrupted {
		return nil
	}
	if err := r.Log.checkStopped(ctx); err != nil {
		return err
	}
	// Before the first append: after an interruption the log ends later, and a lane would no longer appear ahead of it.
	if err := r.setLanesBack(ctx, c); err != nil {
		return err
	}
	if err := r.restoreEnd(ctx, c); err != nil {
		return err
	}
	if c.hasGaps() {
		return r.rewriteLog(ctx)
	}
	return c.archive.EndRewrite(ctx)
}

// restoreEnd appends what the log has lost at its end.
func (r Repair) restoreEnd(ctx context.Context, c *copies) error {
	if len(c.lost) == 0 {
		return nil
	}
	if err := r.restoreLog(ctx, c); err != nil || c.plan.exact {
		return err
	}
	return r.rewriteArchive(ctx, c)
}

// restoreArchive writes the events of the log that the archive lacks.
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

// archiveBatch is the number of messages that are written to the archive at a time.
const archiveBatch = 5000

// copyToArchive writes the wanted messages of a range of the log to the archive, and advances its head to the end of the range.
func (r Repair) copyToArchive(ctx context.Context, c *copies, from, to uint64, wanted func(uint64) bool) error {
	var batch []archive.Archived
	flush := func() error {
		err := c.archive.Restore(ctx, batch)
		batch = batch[:0]
		return err
	}
	var last archive.Archived
	err := r.Log.Each(ctx, Range{From: from, To: to}, func(m Message) error {
		last = archive.From(m)
		r.progress("restore archive", m.Sequence, to)
		if !wanted(m.Sequence) {
			return nil
		}
		if batch = append(batch, last); len(batch) < archiveBatch {
			return nil
		}
		return flush()
	})
	if err := errors.Join(err, flush()); err != nil || last.Sequence == 0 {
		return err
	}
	return c.archive.AdvanceHead(ctx, last.Sequence, last.EventID())
}

// restoreLog appends the events that the log has lost, each with its old id and revision.
func (r Repair) restoreLog(ctx context.Context, c *copies) error {
	if len(c.plan.restore) == 0 {
		return nil
	}
	wanted := make(map[uint64]bool, len(c.plan.restore))
	for _, e := range c.plan.restore {
		wanted[e.sum] = true
	}
	w := rewriter{reader: r.Log, exact: c.plan.exact, compared: c.report.Log, ends: map[string]uint64{}}
	done, total := uint64(0), uint64(len(c.plan.restore))
	r.progress("restore log", done, total)
	err := c.archive.Each(ctx, c.fork(), func(a archive.Archived) error {
		if !wanted[sumOfArchived(a)] {
			return nil
		}
		done++
		r.progress("restore log", done, total)
		return w.append(ctx, a)
	})
	return errors.Join(err, w.await(ctx, 0))
}

// rewriteArchive sets the archived events from the fork on aside and archives those of the log instead.
func (r Repair) rewriteArchive(ctx context.Context, c *copies) error {
	aside, err := r.emptyAside(ctx)
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

// emptyAside returns an empty collection beside the archive. A collection that an earlier repair has filled cannot be used: chunks with
// the same sequences would replace each other.
func (r Repair) emptyAside(ctx context.Context) (*mongo.Collection, error) {
	name := archive.Collection + asideSuffix
	for n := 2; ; n++ {
		collection := r.DB.Collection(name)
		if err := collection.FindOne(ctx, bson.D{}).Err(); errors.Is(err, mongo.ErrNoDocuments) {
			return collection, nil
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		name = fmt.Sprintf("%s%s_%d", archive.Collection, asideSuffix, n)
	}
}

// setLanesBack moves the checkpoints of the lanes that are ahead back to the unchanged part of the log. The lanes handle the events
// after it again, which is idempotent.
func (r Repair) setLanesBack(ctx context.Context, c *copies) error {
	for _, checkpoint := range c.ahead {
		checkpoint.Position, checkpoint.Read = min(checkpoint.Position, c.unchanged), min(checkpoint.Read, c.unchanged)
		if err := dropOpenActs(&checkpoint, c.unchanged); err != nil {
			return err
		}
		if err := r.Log.log.SaveCheckpoint(ctx, &checkpoint); err != nil {
			return err
		}
	}
	return nil
}

// dropOpenActs removes the open acts for events after a sequence from a checkpoint.
func dropOpenActs(c *eventlog.Checkpoint, known uint64) error {
	if len(c.State) == 0 {
		return nil
	}
	var open []json.RawMessage
	if err := json.Unmarshal(c.State, &open); err != nil {
		return fmt.Errorf("read the open acts of %s: %w", c.Lane, err)
	}
	var unreadable error
	open = slices.DeleteFunc(open, func(raw json.RawMessage) bool {
		var o OpenAct
		if err := json.Unmarshal(raw, &o); err != nil {
			unreadable = fmt.Errorf("read the open acts of %s: %w", c.Lane, err)
		}
		return o.Sequence > known
	})
	if unreadable != nil {
		return unreadable
	}
	var err error
	c.State, err = json.Marshal(open)
	return err
}
