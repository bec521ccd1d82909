package replay

import (
	"context"
	"hash/fnv"
	"slices"

	"tillstream/events"
	"tillstream/events/view"
)

// copies is one stream and its archive, compared.
type copies struct {
	view    view.View
	report  StreamReport
	sums    []uint64    // of the log's event ids, by sequence; 0: no message
	missing []uint64    // sequences that the archive lacks
	lost    []lostEvent // what the log lacks, as it was archived
	plan    plan
}

// sumOf tells events apart by their ids; what is no event of ours by where and what it is.
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

// compare finds what either copy lacks. The archive is read last, so that a view which is at work does not look behind.
func (r Repair) compare(ctx context.Context, v view.View) (*copies, error) {
	c := &copies{view: v, sums: make([]uint64, 1), report: StreamReport{Stream: v.Stream, Archive: v.Archive}}
	archived, err := r.archivedUpTo(ctx, v)
	if err != nil {
		return nil, err
	}
	if err := r.readLog(ctx, c); err != nil {
		return nil, err
	}
	if err := r.readArchive(ctx, c); err != nil {
		return nil, err
	}
	// What was said since the log was read may be in the archive already: the log has not lost it.
	if err := r.readLog(ctx, c); err != nil {
		return nil, err
	}
	c.lost = slices.DeleteFunc(c.lost, func(e lostEvent) bool { return c.has(e.Sequence, e.sum) })
	if err := r.nameMissing(ctx, c, archived); err != nil {
		return nil, err
	}
	return c, r.decide(ctx, c)
}

// tellEvery is after how many events somebody is told.
const tellEvery = 1000

func (r Repair) tell(stage string, done, total uint64) {
	if r.Progress != nil && done%tellEvery == 0 {
		r.Progress(stage, done, total)
	}
}

// archivedUpTo is up to where everything should be in the archive: as far as its head says, or its view has acknowledged.
func (r Repair) archivedUpTo(ctx context.Context, v view.View) (uint64, error) {
	head, err := view.ReadArchiveHead(ctx, r.DB.Collection(v.Archive), v.Stream)
	if err != nil {
		return 0, err
	}
	all, err := r.Log.Consumers(ctx)
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		if c.Name == v.Name && c.Done > head.Last {
			return c.Done, nil
		}
	}
	return head.Last, nil
}

// readLog reads on to where the log ends now.
func (r Repair) readLog(ctx context.Context, c *copies) error {
	last, err := r.Log.Last(ctx, c.view.Stream)
	from := uint64(len(c.sums))
	if err != nil || last < from {
		return err
	}
	c.report.Log, c.sums = last, append(c.sums, make([]uint64, last+1-from)...)
	return r.Log.Each(ctx, Range{Stream: c.view.Stream, From: from, To: last}, func(m Message) error {
		c.sums[m.Sequence] = sumOf(m.Header.Get(events.HeaderID), m.Subject, m.Data)
		r.tell("log "+c.view.Stream, m.Sequence, last)
		return nil
	})
}

// has reports whether the log, as far as it was read, holds an event where it was archived from.
func (c *copies) has(sequence, sum uint64) bool {
	return sequence < uint64(len(c.sums)) && c.sums[sequence] == sum
}

// readArchive finds what the archive has and the log has not.
func (r Repair) readArchive(ctx context.Context, c *copies) error {
	known := make([]bool, len(c.sums))
	last := uint64(len(c.sums) - 1)
	err := view.ReadArchive(ctx, r.DB.Collection(c.view.Archive), c.view.Stream, 0, func(a view.Archived) error {
		c.report.Archived = a.Sequence
		r.tell("archive "+c.view.Archive, a.Sequence, last)
		sum := sumOf(a.EventID(), a.Subject, a.Body())
		if c.has(a.Sequence, sum) {
			known[a.Sequence] = true
			return nil
		}
		c.lost = append(c.lost, lostEvent{Lost: lostOf(a), cause: a.Headers.Get(events.HeaderCausationID), sum: sum})
		return nil
	})
	if err != nil {
		return err
	}
	for sequence := uint64(1); sequence <= last; sequence++ {
		if c.sums[sequence] != 0 && !known[sequence] {
			c.missing = append(c.missing, sequence)
		}
	}
	return nil
}

func lostOf(a view.Archived) Lost {
	return Lost{Sequence: a.Sequence, EventID: a.EventID(), Type: a.Headers.Get(events.HeaderType), Subject: a.Subject}
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
	c.report.WentOn = fork > 0 && fork <= c.report.Log
	for _, sequence := range c.missing {
		if sequence <= archived && (fork == 0 || sequence < fork) {
			lost = append(lost, sequence)
		}
	}
	c.missing = lost
	c.report.ArchiveLost.Count = uint64(len(lost))
	for _, sequence := range lost[:min(len(lost), namedAtMost)] {
		m, err := r.Log.Get(ctx, c.view.Stream, sequence)
		if err != nil {
			return err
		}
		c.report.ArchiveLost.First = append(c.report.ArchiveLost.First, lostOf(archivedOf(m)))
	}
	return nil
}

func archivedOf(m Message) view.Archived {
	return view.ArchivedFrom(m.Sequence, m.Stored, m.Subject, m.Header, m.Data)
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
	if c.report.WentOn {
		err := r.Log.Each(ctx, Range{Stream: c.view.Stream, From: c.fork(), To: c.report.Log}, func(m Message) error {
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
