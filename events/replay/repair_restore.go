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

	"tillstream/events/view"
)

// asideSuffix is added to an archive's name for what the log went on without, and a number the second time.
const asideSuffix = "_aside"

// restore gives both copies of one stream back what they have lost. Cut off at any point, the next one goes on.
func (r Repair) restore(ctx context.Context, c *copies) (err error) {
	if c.report.Aside, err = view.FinishAside(ctx, r.DB.Collection(c.view.Archive), c.view.Stream); err != nil {
		return err
	}
	if err := r.restoreArchive(ctx, c); err != nil {
		return err
	}
	if len(c.lost) == 0 {
		return nil
	}
	if err := r.nobodyAtWork(ctx); err != nil {
		return err
	}
	if err := r.restoreLog(ctx, c); err != nil || c.plan.exact {
		return err
	}
	return r.follow(ctx, c)
}

// nobodyAtWork returns [ErrAtWork] when processes of the shop are on this broker: what they remember is of the time
// before the log went back.
func (r Repair) nobodyAtWork(ctx context.Context) error {
	all, err := r.Log.Consumers(ctx)
	if err != nil {
		return err
	}
	var active []string
	for _, c := range all {
		if c.Active {
			active = append(active, c.Name)
		}
	}
	if len(active) > 0 {
		return fmt.Errorf("%w: %s", ErrAtWork, strings.Join(active, ", "))
	}
	return nil
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

// archiveAtOnce is how many messages are in memory on their way into an archive.
const archiveAtOnce = 5000

// copyToArchive writes a part of the log into the archive, and says in the archive's head that it goes so far.
func (r Repair) copyToArchive(ctx context.Context, c *copies, from, to uint64, wanted func(uint64) bool) error {
	collection := r.DB.Collection(c.view.Archive)
	var some []view.Archived
	flush := func() error {
		err := view.RestoreArchive(ctx, collection, c.view.Stream, some)
		some = some[:0]
		return err
	}
	var last view.Archived
	err := r.Log.Each(ctx, Range{Stream: c.view.Stream, From: from, To: to}, func(m Message) error {
		last = archivedOf(m)
		r.tell("restore "+c.view.Archive, m.Sequence, to)
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
	return view.AdvanceHead(ctx, collection, c.view.Stream, last.Sequence, last.EventID())
}

// restoreLog appends what the log has lost.
func (r Repair) restoreLog(ctx context.Context, c *copies) error {
	if len(c.plan.restore) == 0 {
		return nil
	}
	wanted := make(map[uint64]bool, len(c.plan.restore))
	for _, e := range c.plan.restore {
		wanted[e.sum] = true
	}
	back := writeBack{js: r.Log.js, stream: c.view.Stream, exact: c.plan.exact, compared: c.report.Log, ends: map[string]uint64{}}
	done, total := uint64(0), uint64(len(c.plan.restore))
	err := view.ReadArchive(ctx, r.DB.Collection(c.view.Archive), c.view.Stream, c.fork(), func(a view.Archived) error {
		if !wanted[sumOf(a.EventID(), a.Subject, a.Body())] {
			return nil
		}
		done++
		r.tell("restore "+c.view.Stream, done, total)
		return back.append(ctx, a)
	})
	return errors.Join(err, back.await(ctx, 0))
}

// follow makes the archive what the log is from the fork on, and keeps what it held there in a collection beside it.
func (r Repair) follow(ctx context.Context, c *copies) error {
	aside, err := r.aside(ctx, c.view.Archive)
	if err != nil {
		return err
	}
	if err := view.SetAside(ctx, c.fork(), r.DB.Collection(c.view.Archive), aside, c.view.Stream); err != nil {
		return err
	}
	c.report.Aside = aside.Name()
	last, err := r.Log.Last(ctx, c.view.Stream)
	if err != nil {
		return err
	}
	return r.copyToArchive(ctx, c, c.fork(), last, func(uint64) bool { return true })
}

// aside returns a collection beside an archive that holds nothing yet. Its chunks go by their sequences: where a backup was
// put back before, the chunks of now would replace those of then.
func (r Repair) aside(ctx context.Context, archive string) (*mongo.Collection, error) {
	name := archive + asideSuffix
	for n := 2; ; n++ {
		collection := r.DB.Collection(name)
		if err := collection.FindOne(ctx, bson.D{}).Err(); errors.Is(err, mongo.ErrNoDocuments) {
			return collection, nil
		} else if err != nil {
			return nil, fmt.Errorf("look into %s: %w", name, err)
		}
		name = fmt.Sprintf("%s%s_%d", archive, asideSuffix, n)
	}
}

// writeBack appends archived events to a stream.
type writeBack struct {
	js       jetstream.JetStream
	stream   string
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

func (w *writeBack) append(ctx context.Context, a view.Archived) error {
	header := nats.Header{}
	for name, values := range a.Headers {
		if !strings.HasPrefix(name, ofBatches) && !strings.HasPrefix(name, ofExpectations) {
			header[name] = values
		}
	}
	m := &nats.Msg{Subject: a.Subject, Header: header, Data: a.Body()}
	if w.exact {
		header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(a.Sequence-1, 10))
		future, err := w.js.PublishMsgAsync(m)
		if err != nil {
			return fmt.Errorf("append %s/%d: %w", w.stream, a.Sequence, err)
		}
		w.pending = append(w.pending, pendingAppend{a.Sequence, future})
		return w.await(ctx, inFlight)
	}
	end, err := w.endOf(ctx, a.Subject)
	if err != nil {
		return err
	}
	header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(end, 10))
	ack, err := w.js.PublishMsg(ctx, m)
	if err != nil {
		return fmt.Errorf("append what was %s/%d: %w", w.stream, a.Sequence, tooLate(err))
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
	stream, err := w.js.Stream(ctx, w.stream)
	if err != nil {
		return 0, fmt.Errorf("open stream %s: %w", w.stream, err)
	}
	last, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the last of %s: %w", subject, err)
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
				return fmt.Errorf("append %s/%d: it was stored at %d", w.stream, p.wanted, ack.Sequence)
			}
		case err := <-p.future.Err():
			return fmt.Errorf("append %s/%d: %w", w.stream, p.wanted, tooLate(err))
		case <-ctx.Done(): // a broker that hangs, or went away for good, never answers
			return ctx.Err()
		}
	}
	return nil
}

// wrongLastSequence is the broker's answer to an append whose expectation does not hold (nats-server/server/errors.json).
const wrongLastSequence = 10071

// tooLate makes [ErrGrew] of a refusal.
func tooLate(err error) error {
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) && api.ErrorCode == wrongLastSequence {
		return fmt.Errorf("%w (%w)", ErrGrew, err)
	}
	return err
}
