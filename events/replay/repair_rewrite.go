package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/archive"
)

// hasGaps reports whether the log lacks messages before its end.
func (c *copies) hasGaps() bool { return c.report.Damaged.Count > 0 || len(c.gone) > 0 }

// rewriteLog deletes a log with gaps and writes it again from the archive.
//
//	compare ─► archive what only the log has ─► placeholders ─► read the archive ─► mark ─► delete ─► create ─► write ─► remove the mark
//
// Nothing is deleted before the archive was read completely. After an interruption, the next repair finds either the old log, and
// begins again, or the beginning of the new one, and appends the rest. The mark tells it that lanes must not be set back.
func (r Repair) rewriteLog(ctx context.Context) error {
	c, err := r.compare(ctx) // events were appended or archived since the first comparison
	if err != nil {
		return err
	}
	if c.report.Different.Count > 0 {
		return fmt.Errorf("%w: %s", ErrDifferent, c.report.Different.sequences())
	}
	if len(c.lost)+len(c.report.DamagedChunks) > 0 {
		return ErrConcurrentAppend
	}
	if err := r.completeArchive(ctx, c); err != nil {
		return err
	}
	end, err := r.checkArchive(ctx, c)
	if err != nil {
		return err
	}
	return r.replaceLog(ctx, c, end)
}

// completeArchive writes to the archive what it lacks up to the end of the log, and a placeholder for each event that both lack.
func (r Repair) completeArchive(ctx context.Context, c *copies) error {
	c.missing = c.unarchived
	if err := r.restoreArchive(ctx, c); err != nil {
		return err
	}
	var placeholders []archive.Archived
	for _, sequence := range c.gone {
		placeholder, err := placeholderAt(sequence, r.Log.log.Now())
		if err != nil {
			return err
		}
		placeholders = append(placeholders, placeholder)
	}
	return c.archive.Restore(ctx, placeholders)
}

// placeholderAt returns the message that takes the place of an event that neither copy has. Its subject differs from that of a void by
// operators, with which they confirm that they have dealt with the loss.
func placeholderAt(sequence uint64, now time.Time) (archive.Archived, error) {
	subject := placeholderSubject(sequence)
	id := strings.TrimPrefix(subject, events.PrefixVoid)
	msg, err := events.Encode(events.Event{ID: id, Source: source, Time: now, Subject: subject, Revision: 1,
		Payload: events.EventVoided{Sequence: sequence, Subject: subject, Reason: "neither the log nor the archive has the event at this sequence"}})
	if err != nil {
		return archive.Archived{}, fmt.Errorf("placeholder for %d: %w", sequence, err)
	}
	return archive.From(Message{Sequence: sequence, Subject: subject, Stored: now, Header: msg.Header, Data: msg.Data}), nil
}

func placeholderSubject(sequence uint64) string {
	return events.PrefixVoid + "lost-" + strconv.FormatUint(sequence, 10)
}

// checkArchive reads the archive and returns its last message. It returns an error unless the archive has every sequence of the log
// exactly once, each with the contents that the log has.
func (r Repair) checkArchive(ctx context.Context, c *copies) (last archive.Archived, err error) {
	end := c.report.Log
	err = c.archive.Each(ctx, 0, func(a archive.Archived) error {
		r.progress("check archive", a.Sequence, end)
		switch {
		case a.Sequence != last.Sequence+1 || a.Sequence > end:
			return fmt.Errorf("the archive has %d after %d, and the log ends at %d; nothing was deleted", a.Sequence, last.Sequence, end)
		case !c.gap(a.Sequence) && c.contents[a.Sequence] != contentOf(a):
			return fmt.Errorf("%w: %d", ErrDifferent, a.Sequence)
		}
		last = a
		return nil
	})
	if err == nil && last.Sequence != end {
		err = fmt.Errorf("the archive ends at %d and the log at %d; nothing was deleted", last.Sequence, end)
	}
	return last, err
}

// replaceLog deletes the log, creates it with the same configuration, and writes it from the archive.
func (r Repair) replaceLog(ctx context.Context, c *copies, end archive.Archived) error {
	old, err := r.Log.js.Stream(ctx, events.StreamShop)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", events.StreamShop, err)
	}
	config, err := json.Marshal(old.CachedInfo().Config)
	if err != nil {
		return fmt.Errorf("encode configuration of %s: %w", events.StreamShop, err)
	}
	if err := c.archive.BeginRewrite(ctx, end, string(config)); err != nil {
		return err
	}
	if err := r.checkUnused(ctx, end.Sequence); err != nil {
		return errors.Join(err, c.archive.EndRewrite(ctx))
	}
	r.progress("delete log", 0, end.Sequence)
	if err := r.Log.js.DeleteStream(ctx, events.StreamShop); err != nil {
		return fmt.Errorf("delete stream %s: %w; the broker user may lack the permission, see \"Changing a stream\" in the runbook; then run this again",
			events.StreamShop, err)
	}
	r.progress("create log", 0, end.Sequence)
	if err := createLog(ctx, r.Log.js, string(config)); err != nil {
		return err
	}
	w := rewriter{reader: r.Log, exact: true}
	err = c.archive.Each(ctx, 0, func(a archive.Archived) error {
		r.progress("rewrite log", a.Sequence, end.Sequence)
		return w.append(ctx, a)
	})
	if err := errors.Join(err, w.await(ctx, 0)); err != nil {
		return err
	}
	r.progress("remove mark", 0, end.Sequence)
	return c.archive.EndRewrite(ctx)
}

// checkUnused returns [ErrRunning] or [ErrConcurrentAppend] when a process has started before the mark was written.
func (r Repair) checkUnused(ctx context.Context, end uint64) error {
	if err := r.Log.checkStopped(ctx); err != nil {
		return err
	}
	last, err := r.Log.Last(ctx)
	if err == nil && last != end {
		err = ErrConcurrentAppend
	}
	return err
}

// RecreateLog creates the stream that an interrupted repair has deleted, so that [Open] and [Repair] can continue. It does nothing when
// no repair was interrupted.
func RecreateLog(ctx context.Context, conn *nats.Conn, db *mongo.Database) error {
	head, err := archive.New(db).Head(ctx)
	if err != nil || head.Restoring == nil || !head.Restoring.IsRepair() {
		return err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("create the log: %w", err)
	}
	return createLog(ctx, js, head.Restoring.Log)
}

// createLog creates the stream of the log, unless it exists.
func createLog(ctx context.Context, js jetstream.JetStream, config string) error {
	var c jetstream.StreamConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return fmt.Errorf("decode configuration of %s: %w", events.StreamShop, err)
	}
	_, err := js.CreateStream(ctx, c)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		err = nil // a process of the shop has created it
	}
	if err != nil {
		return fmt.Errorf("create stream %s: %w", events.StreamShop, err)
	}
	return nil
}
