package replay

import (
	"context"
	"hash/fnv"
	"slices"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
)

// copies is the log and its archive, compared.
type copies struct {
	archive *archive.Archive
	report  RepairReport
	sums    []uint64    // of the log's event ids, by sequence; 0: no message
	missing []uint64    // sequences that the archive lacks
	lost    []lostEvent // what the log lacks, as it was archived
	plan    plan
	ahead   []eventlog.Checkpoint // of lanes that are ahead of the log
	known   uint64                // up to where the log is as they knew it
}

// sumOf tells events apart by their ids; what is no event of the shop by where and what it is.
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

// compare finds what either copy lacks. The archive is read last, so that a lane that is at work on it does not look behind.
func (r Repair) compare(ctx context.Context) (*copies, error) {
	c := &copies{archive: archive.New(r.DB), sums: make([]uint64, 1)}
	archived, err := r.archivedUpTo(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := r.readLog(ctx, c); err != nil {
		return nil, err
	}
	known, err := r.readArchive(ctx, c)
	if err != nil {
		return nil, err
	}
	// What was said since the log was read may be in the archive already: the log has not lost it.
	if err := r.readLog(ctx, c); err != nil {
		return nil, err
	}
	c.lost = slices.DeleteFunc(c.lost, func(e lostEvent) bool { return c.has(e.Sequence, e.sum) })
	c.nameDamage(known)
	if err := r.nameMissing(ctx, c, archived); err != nil {
		return nil, err
	}
	if err := r.findAhead(ctx, c); err != nil {
		return nil, err
	}
	return c, r.decide(ctx, c)
}

// tellEvery is after how many events progress is reported.
const tellEvery = 1000

func (r Repair) tell(stage string, done, total uint64) { tell(r.Progress, stage, done, total) }

// tell reports progress now and then, and at the end.
func tell(progress func(stage string, done, total uint64), stage string, done, total uint64) {
	if progress != nil && (done%tellEvery == 0 || done == total) {
		progress(stage, done, total)
	}
}

// archivedUpTo is up to where everything should be in the archive: as far as its head says, or its lane's checkpoint.
func (r Repair) archivedUpTo(ctx context.Context, c *copies) (uint64, error) {
	head, err := c.archive.Head(ctx)
	if err == nil {
		err = head.BeingRestored() // what is missing comes from the backup, and not from here
	}
	if err != nil {
		return 0, err
	}
	checkpoint, err := r.Log.log.LoadCheckpoint(ctx, archive.Lane)
	return max(head.Last, checkpoint.Position), err
}

// readLog reads on to where the log ends now.
func (r Repair) readLog(ctx context.Context, c *copies) error {
	last, err := r.Log.Last(ctx)
	from := uint64(len(c.sums))
	if err != nil || last < from {
		return err
	}
	c.report.Log, c.sums = last, append(c.sums, make([]uint64, last+1-from)...)
	return r.Log.Each(ctx, Range{From: from, To: last}, func(m Message) error {
		c.sums[m.Sequence] = sumOf(m.Header.Get(events.HeaderID), m.Subject, m.Data)
		r.tell("log", m.Sequence, last)
		return nil
	})
}

// has reports whether the log, as far as it was read, holds an event where it was archived from.
func (c *copies) has(sequence, sum uint64) bool {
	return sequence < uint64(len(c.sums)) && c.sums[sequence] == sum
}

// hole reports whether the log lacks a message before its end. It never does where it only went back and on: its sequences
// have no gaps.
func (c *copies) hole(sequence uint64) bool {
	return sequence < uint64(len(c.sums)) && c.sums[sequence] == 0
}

// readArchive finds what the archive has and the log has not, and which sequences of the log it has.
func (r Repair) readArchive(ctx context.Context, c *copies) (known []bool, err error) {
	known = make([]bool, len(c.sums))
	last := uint64(len(c.sums) - 1)
	err = c.archive.Each(ctx, 0, func(a archive.Archived) error {
		c.report.Archived = a.Sequence
		r.tell("archive", a.Sequence, last)
		sum := sumOfArchived(a)
		switch {
		case c.has(a.Sequence, sum):
			known[a.Sequence] = true
		case len(c.lost) == 0 && c.hole(a.Sequence): // before the fork: what follows is the same in both
			known[a.Sequence] = true
			c.report.Damaged.add(lostOf(a))
		default:
			c.lost = append(c.lost, lostEvent{Lost: lostOf(a), cause: a.Headers.Get(events.HeaderCausationID), sum: sum})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for sequence := uint64(1); sequence <= last; sequence++ {
		if c.sums[sequence] != 0 && !known[sequence] {
			c.missing = append(c.missing, sequence)
		}
	}
	return known, nil
}

func lostOf(a archive.Archived) Lost {
	return Lost{Sequence: a.Sequence, EventID: a.EventID(), Type: a.Headers.Get(events.HeaderType), Subject: a.Subject}
}

// nameDamage reports the sequences that neither copy has.
func (c *copies) nameDamage(known []bool) {
	for sequence := uint64(1); sequence < uint64(len(c.sums)); sequence++ {
		archived := sequence < uint64(len(known)) && known[sequence]
		if c.hole(sequence) && !archived {
			c.report.LostInBoth.add(Lost{Sequence: sequence})
		}
	}
}

// fork is the first sequence at which the log is not what the archive says it was; 0 when there is none.
func (c *copies) fork() uint64 {
	if len(c.lost) == 0 {
		return 0
	}
	return c.lost[0].Sequence
}

// nameMissing reports what the archive has lost: what it should have by now. Beyond a fork it has not lost anything, the
// log went on.
func (r Repair) nameMissing(ctx context.Context, c *copies, archived uint64) error {
	var lost []uint64
	fork := c.fork()
	c.report.Diverged = fork > 0 && fork <= c.report.Log
	for _, sequence := range c.missing {
		if sequence <= archived && (fork == 0 || sequence < fork) {
			lost = append(lost, sequence)
		}
	}
	c.missing = lost
	c.report.ArchiveLost.Count = uint64(len(lost))
	for _, sequence := range lost[:min(len(lost), namedAtMost)] {
		m, err := r.Log.Get(ctx, sequence)
		if err != nil {
			return err
		}
		c.report.ArchiveLost.First = append(c.report.ArchiveLost.First, lostOf(archive.From(m)))
	}
	return nil
}

// decide makes the plan for what the log has lost.
func (r Repair) decide(ctx context.Context, c *copies) error {
	if len(c.lost) == 0 {
		return nil
	}
	lost := make(map[uint64]bool, len(c.lost))
	for _, e := range c.lost {
		lost[e.sum] = true
	}
	moved := map[string]bool{}
	there := map[uint64]bool{} // restored by an earlier repair that was cut off, under a new sequence
	if c.report.Diverged {
		err := r.Log.Each(ctx, Range{From: c.fork(), To: c.report.Log}, func(m Message) error {
			if sum := c.sums[m.Sequence]; lost[sum] {
				there[sum] = true
			} else {
				moved[m.Subject] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	c.plan = planOf(c.lost, c.report.Log, moved, there)
	for _, e := range c.plan.restore {
		c.report.LogLost.add(e.Lost)
	}
	for _, e := range c.plan.superseded {
		c.report.Superseded.add(e.Lost)
	}
	return nil
}
