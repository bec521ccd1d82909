package replay

import (
	"context"
	"hash/fnv"
	"io"
	"maps"
	"slices"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
)

// copies is the result of comparing the log with its archive.
type copies struct {
	archive    *archive.Archive
	report     RepairReport
	sums       []uint64        // of the event ids of the log, by sequence; 0 for a gap
	contents   []uint64        // of the messages of the log, by sequence
	places     map[uint64]bool // sequences at which the log has a placeholder
	known      []bool          // by sequence: the archive has the event of the log, or the one that a gap of the log lacks
	unarchived []uint64        // sequences of the log that the archive lacks
	missing    []uint64        // those that the archive should have
	gone       []uint64        // sequences that both lack
	lost       []lostEvent     // events that the log lacks, by archived sequence
	plan       plan
	ahead      []eventlog.Checkpoint // of the lanes that are ahead of the log
	unchanged  uint64                // end of the part of the log that did not change
}

// sumOf identifies an event by its id, and a message without an id by subject and body. It is never 0.
func sumOf(id, subject string, body []byte) uint64 {
	h := fnv.New64a()
	if id == "" {
		_, _ = h.Write([]byte(subject)) // never fails, and neither does the next
		_, _ = h.Write(body)
	} else {
		_, _ = h.Write([]byte(id))
	}
	return h.Sum64() | 1
}

func sumOfArchived(a archive.Archived) uint64 { return sumOf(a.EventID(), a.Subject, a.Body()) }

// contentOf is a hash of a message without the headers of its append.
func contentOf(a archive.Archived) uint64 {
	h := fnv.New64a()
	write := func(text string) {
		_, _ = io.WriteString(h, text) // never fails, and neither does the next
		_, _ = h.Write([]byte{0})
	}
	write(a.Subject)
	headers := headersOf(a)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		write(name)
		for _, value := range headers[name] {
			write(value)
		}
	}
	_, _ = h.Write(a.Body())
	return h.Sum64()
}

// compare finds what each copy lacks. The archive may grow during the comparison, so the log is read again after it.
func (r Repair) compare(ctx context.Context) (*copies, error) {
	c := &copies{archive: archive.New(r.DB), sums: make([]uint64, 1), contents: make([]uint64, 1), places: map[uint64]bool{}}
	archivedTo, err := r.archivedTo(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := r.readLog(ctx, c); err != nil {
		return nil, err
	}
	if err := r.readArchive(ctx, c); err != nil {
		return nil, err
	}
	// The archive may contain events that were appended after the first read of the log. The log has not lost them.
	if err := r.readLog(ctx, c); err != nil {
		return nil, err
	}
	c.lost = slices.DeleteFunc(c.lost, func(e lostEvent) bool { return c.has(e.Sequence, e.sum) })
	c.findGone()
	if err := r.reportMissing(ctx, c, archivedTo); err != nil {
		return nil, err
	}
	if err := r.findAhead(ctx, c); err != nil {
		return nil, err
	}
	return c, r.plan(ctx, c)
}

// progressEvery is the number of events between two reports of progress.
const progressEvery = 1000

func (r Repair) progress(stage string, done, total uint64) {
	reportProgress(r.Progress, stage, done, total)
}

// reportProgress reports progress periodically and at the end.
func reportProgress(progress func(stage string, done, total uint64), stage string, done, total uint64) {
	if progress != nil && (done%progressEvery == 0 || done == total) {
		progress(stage, done, total)
	}
}

// archivedTo returns the sequence up to which the archive should be complete, by its head or by the checkpoint of its lane.
func (r Repair) archivedTo(ctx context.Context, c *copies) (uint64, error) {
	head, err := c.archive.Head(ctx)
	if err != nil {
		return 0, err
	}
	if c.report.Interrupted = head.Restoring != nil && head.Restoring.IsRepair(); !c.report.Interrupted {
		if err := head.BeingRestored(); err != nil { // the missing events come from the backup
			return 0, err
		}
	}
	checkpoint, err := r.Log.log.LoadCheckpoint(ctx, archive.Lane)
	return max(head.Last, checkpoint.Position), err
}

// readLog reads from the end of the last read to the current end of the log.
func (r Repair) readLog(ctx context.Context, c *copies) error {
	last, err := r.Log.Last(ctx)
	from := uint64(len(c.sums))
	if err != nil || last < from {
		return err
	}
	c.report.Log, c.sums = last, append(c.sums, make([]uint64, last+1-from)...)
	c.contents = append(c.contents, make([]uint64, last+1-from)...)
	return r.Log.Each(ctx, Range{From: from, To: last}, func(m Message) error {
		c.sums[m.Sequence], c.contents[m.Sequence] = sumOf(m.Header.Get(events.HeaderID), m.Subject, m.Data), contentOf(archive.From(m))
		if m.Subject == placeholderSubject(m.Sequence) {
			c.places[m.Sequence] = true
		}
		r.progress("log", m.Sequence, last)
		return nil
	})
}

// has reports whether the log, as far as it was read, has an event at its archived sequence.
func (c *copies) has(sequence, sum uint64) bool {
	return sequence < uint64(len(c.sums)) && c.sums[sequence] == sum
}

// gap reports whether the log lacks a message before its end. A log that lost only its end has no gaps.
func (c *copies) gap(sequence uint64) bool {
	return sequence < uint64(len(c.sums)) && c.sums[sequence] == 0
}

// readArchive finds the events that only one copy has, and those that the copies have with different contents.
func (r Repair) readArchive(ctx context.Context, c *copies) error {
	c.known = make([]bool, len(c.sums))
	last := uint64(len(c.sums) - 1)
	damaged := func(d archive.Damage) error {
		c.report.DamagedChunks = append(c.report.DamagedChunks, d)
		return nil
	}
	err := c.archive.EachReadable(ctx, 0, damaged, func(a archive.Archived) error {
		c.report.Archived = a.Sequence
		r.progress("archive", a.Sequence, last)
		c.classify(a)
		return nil
	})
	for sequence := uint64(1); sequence <= last; sequence++ {
		if c.sums[sequence] != 0 && !c.known[sequence] {
			c.unarchived = append(c.unarchived, sequence)
		}
	}
	return err
}

// classify compares one archived event with the log.
func (c *copies) classify(a archive.Archived) {
	sum := sumOfArchived(a)
	switch {
	case c.has(a.Sequence, sum):
		c.known[a.Sequence] = true
		if c.contents[a.Sequence] != contentOf(a) {
			c.report.Different.add(lostOf(a))
		}
	case len(c.lost) == 0 && (c.gap(a.Sequence) || c.places[a.Sequence]): // before the fork the copies are equal
		c.sums[a.Sequence] = 0 // an earlier repair has found no copy: the database was away, or an older backup of it
		c.known[a.Sequence] = true
		c.report.Damaged.add(lostOf(a))
	default:
		c.lost = append(c.lost, lostEvent{Lost: lostOf(a), cause: a.Headers.Get(events.HeaderCausationID), sum: sum})
	}
}

func lostOf(a archive.Archived) Lost {
	return Lost{Sequence: a.Sequence, EventID: a.EventID(), Type: a.Headers.Get(events.HeaderType), Subject: a.Subject}
}

// findGone finds the sequences that both copies lack.
func (c *copies) findGone() {
	for sequence := uint64(1); sequence < uint64(len(c.sums)); sequence++ {
		if c.gap(sequence) && !c.archived(sequence) {
			c.gone = append(c.gone, sequence)
			c.report.LostInBoth.add(Lost{Sequence: sequence})
		}
	}
}

// archived reports whether the archive has the event that belongs at a sequence of the log.
func (c *copies) archived(sequence uint64) bool {
	return sequence < uint64(len(c.known)) && c.known[sequence]
}

// fork returns the first sequence at which log and archive have different events, 0 when there is none.
func (c *copies) fork() uint64 {
	if len(c.lost) == 0 {
		return 0
	}
	return c.lost[0].Sequence
}

// reportMissing reports the events that the archive has lost, up to the sequence that it should contain. After a fork the archive has
// lost nothing: those events of the log are new.
func (r Repair) reportMissing(ctx context.Context, c *copies, archivedTo uint64) error {
	var lost []uint64
	fork := c.fork()
	c.report.Diverged = fork > 0 && fork <= c.report.Log
	for _, sequence := range c.unarchived {
		if sequence <= archivedTo && (fork == 0 || sequence < fork) {
			lost = append(lost, sequence)
		}
	}
	c.missing = lost
	c.report.ArchiveLost.Count = uint64(len(lost))
	for _, sequence := range lost[:min(len(lost), maxLost)] {
		m, err := r.Log.Get(ctx, sequence)
		if err != nil {
			return err
		}
		c.report.ArchiveLost.First = append(c.report.ArchiveLost.First, lostOf(archive.From(m)))
	}
	return nil
}

// plan plans the restoration of the log.
func (r Repair) plan(ctx context.Context, c *copies) error {
	if len(c.lost) == 0 {
		return nil
	}
	lost := make(map[uint64]bool, len(c.lost))
	for _, e := range c.lost {
		lost[e.sum] = true
	}
	changed := map[string]bool{}
	restored := map[uint64]bool{} // by an earlier repair that was interrupted, under a new sequence
	if c.report.Diverged {
		err := r.Log.Each(ctx, Range{From: c.fork(), To: c.report.Log}, func(m Message) error {
			sum := c.sums[m.Sequence]
			switch {
			case lost[sum]:
				restored[sum] = true
			case !c.archived(m.Sequence): // an event that both have at the same sequence is not new
				changed[m.Subject] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	c.plan = planOf(c.lost, c.report.Log, changed, restored)
	for _, e := range c.plan.restore {
		c.report.LogLost.add(e.Lost)
	}
	for _, e := range c.plan.superseded {
		c.report.Superseded.add(e.Lost)
	}
	return nil
}

// findAhead finds the lanes whose checkpoint is beyond the end of the log or beyond the fork. Such a lane would skip the events that
// are appended there.
func (r Repair) findAhead(ctx context.Context, c *copies) error {
	checkpoints, err := r.Log.log.Checkpoints(ctx)
	if err != nil {
		return err
	}
	if c.report.Interrupted && !c.report.Diverged {
		return nil // a repair writes the log again under the old sequences, so the positions remain right
	}
	if c.unchanged, err = r.Log.Last(ctx); err != nil { // after the checkpoints, so that no lane only appears ahead of the log
		return err
	}
	if fork := c.fork(); fork > 0 {
		c.unchanged = fork - 1
	}
	for _, checkpoint := range checkpoints {
		if checkpoint.Lane != archive.Lane && max(checkpoint.Position, checkpoint.Read) > c.unchanged { // the lane of the archive continues at its head
			c.ahead = append(c.ahead, checkpoint)
			c.report.LanesAhead = append(c.report.LanesAhead, checkpoint.Lane)
		}
	}
	slices.Sort(c.report.LanesAhead)
	return nil
}
