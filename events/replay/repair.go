package replay

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/view"
)

// Repair compares the two durable copies of what happened, log and archives, by event id, and gives each back what it has
// lost and the other one has.
//
//	log      1 2 3 4 5 6 7 .     an older copy of the broker's store was put back: 8, 9 are appended again, in their order
//	archive  1 2 . . 5 6 7 8 9   the database lost 3, 4: they are written from the log
//
// As long as nobody has appended since, what the log lost comes back under its old sequences. When the log went on without
// it, the rules are those of [planOf]: an entity whose history has not gone on gets the rest of it appended at the end,
// each event with the expectation that nobody is faster; one that has gone on keeps its new history, and the old one is
// named and kept in a collection beside the archive. What is derived from a restored event is derived again by the workers.
//
// Nobody must be at work when the log is restored. What the log held and no archive had got yet is in neither copy: a
// view writes about every second and a half.
type Repair struct {
	DB       *mongo.Database
	DryRun   bool
	Log      *Reader
	Progress func(stage string, done, total uint64) // default: nobody is told
	Views    []view.View
}

// RepairReport is what a repair has found, and done.
type RepairReport struct {
	Streams  []StreamReport `json:"streams"`
	Restored bool           `json:"restored"` // false for a dry run
	Seconds  float64        `json:"seconds"`
}

// StreamReport is one stream and its archive.
type StreamReport struct {
	Stream      string `json:"stream"`
	Archive     string `json:"archive"`
	Log         uint64 `json:"log"`          // sequence of the log's last event
	Archived    uint64 `json:"archived"`     // of the archive's
	LogLost     Loss   `json:"log_lost"`     // the archive has them: they go back into the log
	ArchiveLost Loss   `json:"archive_lost"` // the log has them: they go back into the archive
	Superseded  Loss   `json:"superseded"`   // the archive has them, but their entity went on without them: for staff to look at
	WentOn      bool   `json:"went_on"`      // somebody appended after the log went back: what is restored gets new sequences
	Aside       string `json:"aside,omitempty"`
}

// Loss is events that one copy lacks.
type Loss struct {
	Count uint64 `json:"count"`
	First []Lost `json:"first,omitempty"` // the first few
}

// Lost is one of them.
type Lost struct {
	Sequence uint64 `json:"sequence"`
	EventID  string `json:"event_id"`
	Type     string `json:"type"`
	Subject  string `json:"subject"`
}

// namedAtMost is how many lost events are named per stream.
const namedAtMost = 100

func (l *Loss) add(e Lost) {
	if l.Count++; len(l.First) < namedAtMost {
		l.First = append(l.First, e)
	}
}

// Off reports whether anything is missing anywhere.
func (r RepairReport) Off() bool {
	for _, s := range r.Streams {
		if s.LogLost.Count+s.ArchiveLost.Count+s.Superseded.Count > 0 || s.WentOn {
			return true
		}
	}
	return false
}

// Run compares, and restores unless it is a dry run. All streams are compared before anything is written.
func (r Repair) Run(ctx context.Context) (RepairReport, error) {
	start := time.Now()
	report := RepairReport{Streams: []StreamReport{}}
	var copies []*copies
	for _, v := range r.Views {
		c, err := r.compare(ctx, v)
		if err != nil {
			return report, fmt.Errorf("compare %s with %s: %w", v.Stream, v.Archive, err)
		}
		copies = append(copies, c)
	}
	for _, c := range copies {
		if r.DryRun {
			continue
		}
		if err := r.restore(ctx, c); err != nil {
			return report, fmt.Errorf("restore %s: %w", c.view.Stream, err)
		}
	}
	for _, c := range copies {
		report.Streams = append(report.Streams, c.report)
	}
	report.Restored, report.Seconds = !r.DryRun, time.Since(start).Seconds()
	return report, nil
}
