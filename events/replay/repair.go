package replay

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/archive"
)

// Repair compares the two durable copies of the events, log and archive, by event id. It restores in each copy the events that
// only the other copy has.
//
//	log      1 2 3 4 5 6 7 .     an older copy of the broker's store was put back: 8 and 9 are appended again, in this order
//	archive  1 2 . . 5 6 7 8 9   the database lost 3 and 4: they are written from the log
//
// If nothing was appended since the loss, the events return under their old sequences. Otherwise the lost events of an entity
// without new events are appended at the end, each with an expected sequence. An entity with new events keeps those; its lost
// events are superseded, are reported, and are kept in a collection beside the archive. A lane that is ahead of the
// log is set back, so that it handles the restored events again.
//
// A broker accepts no message between two others. A log with gaps is therefore deleted and written again from the archive, with the
// same sequences and ids, after the archive was given everything that only the log had:
//
//	log      1 2 . . 5 6 7       damage: 3 and 4 are missing
//	archive  1 2 3 . 5 6 .       7 is written from the log; 4 becomes a placeholder, because neither copy has it
//	both     1 2 3 v 5 6 7
//
// A placeholder is an [events.EventVoided] that names its own sequence, so every process skips it. The entity of the lost event
// remains unavailable if it has later events, because its revisions have a gap. When an archive that has the event is put back, the
// next repair writes the log again with the event in its place.
//
// No process may run while the log is restored. Events that the log lost before the archive had them are in neither copy; the
// archive is written about every two seconds.
type Repair struct {
	DB       *mongo.Database
	DryRun   bool
	Log      *Reader
	Progress func(stage string, done, total uint64) // default: none
}

// RepairReport is the result of a repair.
type RepairReport struct {
	Log         uint64 `json:"log"`             // last sequence of the log
	Archived    uint64 `json:"archived"`        // last sequence of the archive
	LogLost     Loss   `json:"log_lost"`        // only in the archive: they are appended to the log
	ArchiveLost Loss   `json:"archive_lost"`    // only in the log: they are written to the archive
	Superseded  Loss   `json:"superseded"`      // only in the archive, and their entity has new events: staff must check them
	Damaged     Loss   `json:"damaged"`         // in gaps of the log; the archive has them, and readers take them from there
	LostInBoth  Loss   `json:"gone"`            // sequences that both copies lack; a repair writes placeholders
	Different   Loss   `json:"different"`       // in both copies with the same id and different contents; a repair changes neither
	Diverged    bool   `json:"went_on"`         // events were appended after the loss: restored events get new sequences
	Aside       string `json:"aside,omitempty"` // the collection with the superseded events; "" when none were set aside
	// LanesAhead are the lanes whose checkpoint is beyond the end of the log, or beyond the point of the loss. They are set back.
	LanesAhead []string `json:"lanes_ahead,omitempty"`
	// DamagedChunks of the archive cannot be unpacked. Their messages are restored from the log, and they are set aside.
	DamagedChunks []archive.Damage `json:"damaged_chunks,omitempty"`
	Interrupted   bool             `json:"interrupted,omitempty"` // an earlier repair was interrupted while it wrote the log again
	Restored      bool             `json:"restored"`              // false for a dry run
	Seconds       float64          `json:"seconds"`
}

// Loss counts the events that a copy lacks, and lists the first ones.
type Loss struct {
	Count uint64 `json:"count"`
	First []Lost `json:"first,omitempty"` // the first ones
}

// Lost is one event of a [Loss].
type Lost struct {
	Sequence uint64 `json:"sequence"`
	EventID  string `json:"event_id,omitempty"`
	Type     string `json:"type,omitempty"`
	Subject  string `json:"subject,omitempty"`
}

// maxLost is the largest number of events in [Loss.First].
const maxLost = 100

func (l *Loss) add(e Lost) {
	if l.Count++; len(l.First) < maxLost {
		l.First = append(l.First, e)
	}
}

// NamedLoss is a [Loss] with its name for staff.
type NamedLoss struct {
	Name string
	Loss
}

// Losses returns every kind of loss that the repair has found.
func (r RepairReport) Losses() (all []NamedLoss) {
	for _, kind := range []NamedLoss{{"not in the log", r.LogLost}, {"not in the " + archive.Collection, r.ArchiveLost}, {"superseded", r.Superseded},
		{"missing in the log", r.Damaged}, {"in neither copy", r.LostInBoth}, {"differs in log and archive", r.Different}} {
		if kind.Count > 0 {
			all = append(all, kind)
		}
	}
	return all
}

// sequences lists the first events, for an error.
func (l Loss) sequences() string {
	names := make([]string, len(l.First))
	for i, e := range l.First {
		names[i] = strconv.FormatUint(e.Sequence, 10)
	}
	return strings.Join(names, ", ")
}

// HasFindings reports whether the copies differ, a lane is ahead, or events are lost.
func (r RepairReport) HasFindings() bool {
	return r.LogLost.Count+r.ArchiveLost.Count+r.Superseded.Count+r.Damaged.Count > 0 || r.Diverged || r.Interrupted ||
		len(r.LanesAhead)+len(r.DamagedChunks) > 0 || r.Unrepairable()
}

// Unrepairable reports whether events are missing or differ, and a repair cannot tell what they were.
func (r RepairReport) Unrepairable() bool { return r.LostInBoth.Count+r.Different.Count > 0 }

// Run compares both copies completely and then restores the differences, unless it is a dry run.
func (r Repair) Run(ctx context.Context) (RepairReport, error) {
	start := time.Now()
	c, err := r.compare(ctx)
	if err != nil {
		return RepairReport{}, fmt.Errorf("compare the log with the archive: %w", err)
	}
	if !r.DryRun {
		if err := r.restore(ctx, c); err != nil {
			return RepairReport{}, fmt.Errorf("repair: %w", err)
		}
	}
	c.report.Restored, c.report.Seconds = !r.DryRun, time.Since(start).Seconds()
	return c.report, nil
}

// lostEvent is an event that the archive has and the log lacks.
type lostEvent struct {
	Lost
	cause string // id of the event that caused it, if any
	sum   uint64
}

// plan divides the lost events into those that are appended again and those that are superseded.
type plan struct {
	restore    []lostEvent // in the order of their old sequences
	superseded []lostEvent // their entity has new events, or depends on such an entity
	exact      bool        // restore begins directly after the end of the log, so the old sequences can be used
}

// planOf decides which lost events are appended again. lost is in the order of the old sequences, last is the end of the log, changed
// are the subjects with new events since the fork, and restored are the sums of events that an earlier repair has appended.
//
// The events of an entity form one sequence. If an entity has new events and its lost ones were appended after them, an old state
// would replace the current one. Its lost events are therefore superseded, and so are all events with the same cause, for example
// the stock movements of one reservation: a decision is restored completely or not at all.
func planOf(lost []lostEvent, last uint64, changed map[string]bool, restored map[uint64]bool) plan {
	p := plan{exact: true}
	superseded := make([]bool, len(lost))
	subjects, causes := maps.Clone(changed), map[string]bool{}
	for again := true; again; {
		again = false
		for i, e := range lost {
			if superseded[i] || restored[e.sum] || !subjects[e.Subject] && (e.cause == "" || !causes[e.cause]) {
				continue
			}
			superseded[i], again = true, true
			subjects[e.Subject] = true
			if e.cause != "" {
				causes[e.cause] = true
			}
		}
	}
	for i, e := range lost {
		switch {
		case restored[e.sum]:
			p.exact = false
		case superseded[i]:
			p.superseded, p.exact = append(p.superseded, e), false
		default:
			p.exact = p.exact && e.Sequence == last+uint64(len(p.restore))+1
			p.restore = append(p.restore, e)
		}
	}
	return p
}
