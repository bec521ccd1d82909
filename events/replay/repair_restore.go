package replay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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
	if err := r.nobodyAtWork(ctx); err != nil {
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
	back := writeBack{log: r.Log, exact: c.plan.exact, compared: c.report.Log, ends: map[string]uint64{}}
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

// writeBack appends archived events to the log.
type writeBack struct {
	log      *Reader
	exact    bool              // under their old sequences, or not at all
	compared uint64            // where the log ended when the plan was made
	ends     map[string]uint64 // last sequence of each subject; only when not exact
	pending  []pendingAppend
}

// pendingAppend is an append that has no answer yet.
type pendingAppend struct {
	wanted uint64
	future jetstream.PubAckFuture
}

// inFlight is how many appends are on their way. Each is synced by itself, but the broker need not wait for us.
const inFlight = 200

// What the broker keeps of how an event was once appended. The events come back one by one, and what was expected of the
// log then, by an earlier repair too, is not so any more.
const (
	ofBatches      = "Nats-Batch-"
	ofExpectations = "Nats-Expected-"
)

func (w *writeBack) append(ctx context.Context, a archive.Archived) error {
	header := nats.Header{}
	for name, values := range a.Headers {
		if !strings.HasPrefix(name, ofBatches) && !strings.HasPrefix(name, ofExpectations) {
			header[name] = values
		}
	}
	m := &nats.Msg{Subject: a.Subject, Header: header, Data: a.Body()}
	if w.exact {
		header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(a.Sequence-1, 10))
		future, err := w.log.js.PublishMsgAsync(m)
		if err != nil {
			return fmt.Errorf("append %d: %w", a.Sequence, err)
		}
		w.pending = append(w.pending, pendingAppend{a.Sequence, future})
		return w.await(ctx, inFlight)
	}
	end, err := w.endOf(ctx, a.Subject)
	if err != nil {
		return err
	}
	header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(end, 10))
	ack, err := w.log.js.PublishMsg(ctx, m)
	if err != nil {
		return fmt.Errorf("append what was %d: %w", a.Sequence, tooLate(err))
	}
	w.ends[a.Subject] = ack.Sequence
	return nil
}

// endOf is the sequence of a subject's last event, 0 when there is none. It returns [ErrGrew] when that is of another
// time than the plan: what was to be restored may stand there already.
func (w *writeBack) endOf(ctx context.Context, subject string) (uint64, error) {
	if end, ok := w.ends[subject]; ok {
		return end, nil
	}
	last, err := w.log.Newest(ctx, subject)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if last.Sequence > w.compared {
		return 0, fmt.Errorf("%s: %w", subject, ErrGrew)
	}
	return last.Sequence, nil
}

// await waits until at most so many appends have no answer.
func (w *writeBack) await(ctx context.Context, atMost int) error {
	for len(w.pending) > atMost {
		p := w.pending[0]
		w.pending = w.pending[1:]
		select {
		case ack := <-p.future.Ok():
			if ack.Sequence != p.wanted {
				return fmt.Errorf("append %d: it was stored at %d", p.wanted, ack.Sequence)
			}
		case err := <-p.future.Err():
			return fmt.Errorf("append %d: %w", p.wanted, tooLate(err))
		case <-ctx.Done(): // a broker that hangs, or went away for good, never answers
			return ctx.Err()
		}
	}
	return nil
}

// The broker's answers to an append whose expectation does not hold (nats-server/server/errors.json).
const (
	wrongLastSequence         = 10071
	wrongLastSequenceConstant = 10164
)

// tooLate makes [ErrGrew] of a refusal.
func tooLate(err error) error {
	var refused *jetstream.APIError
	if errors.As(err, &refused) && (refused.ErrorCode == wrongLastSequence || refused.ErrorCode == wrongLastSequenceConstant) {
		return fmt.Errorf("%w (%w)", ErrGrew, err)
	}
	return err
}
