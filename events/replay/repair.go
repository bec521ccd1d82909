package replay

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Repair compares the two durable copies of what happened, log and archive, by event id, and gives each back what it has
// lost and the other one has.
//
//	log      1 2 3 4 5 6 7 .     an older copy of the broker's store was put back: 8, 9 are appended again, in their order
//	archive  1 2 . . 5 6 7 8 9   the database lost 3, 4: they are written from the log
//
// As long as nobody has appended since, what the log lost comes back under its old sequences. When the log went on without
// it, the rules are those of [planOf]: an entity whose history has not gone on gets the rest of it appended at the end,
// each event with the expectation that no other writer is faster; one that has gone on keeps its new history, and the old
// one is named and kept in a collection beside the archive. Lanes that had come further than the log then went begin again
// there: what is derived from a restored event, and was lost, is derived again.
//
//	log      1 2 . 4 5           damage: 3 cannot be put back between 2 and 4; readers take it from the archive
//
// No process may be at work when the log is restored. What the log held and the archive had not got yet is in neither copy:
// the archive is written about every two seconds.
type Repair struct {
	DB       *mongo.Database
	DryRun   bool
	Log      *Reader
	Progress func(stage string, done, total uint64) // default: not reported
}

// RepairReport is what a repair has found, and done.
type RepairReport struct {
	Log         uint64 `json:"log"`          // sequence of the log's last event
	Archived    uint64 `json:"archived"`     // of the archive's
	LogLost     Loss   `json:"log_lost"`     // the archive has them: they go back into the log
	ArchiveLost Loss   `json:"archive_lost"` // the log has them: they go back into the archive
	Superseded  Loss   `json:"superseded"`   // the archive has them, but their entity went on without them: for staff to look at
	Damaged     Loss   `json:"damaged"`      // the log lacks them between others; the archive has them
	LostInBoth  Loss   `json:"gone"`         // sequences that neither copy has
	Diverged    bool   `json:"went_on"`      // events were appended after the log went back: what is restored gets new sequences
	Aside       string `json:"aside,omitempty"`
	// LanesAhead are lanes whose checkpoint lies beyond what the log holds, or held before it went back: they are set back.
	LanesAhead []string `json:"lanes_ahead,omitempty"`
	Restored   bool     `json:"restored"` // false for a dry run
	Seconds    float64  `json:"seconds"`
}

// Loss is events that one copy lacks.
type Loss struct {
	Count uint64 `json:"count"`
	First []Lost `json:"first,omitempty"` // the first few
}

// Lost is one of them.
type Lost struct {
	Sequence uint64 `json:"sequence"`
	EventID  string `json:"event_id,omitempty"`
	Type     string `json:"type,omitempty"`
	Subject  string `json:"subject,omitempty"`
}

// namedAtMost is how many lost events are named.
const namedAtMost = 100

func (l *Loss) add(e Lost) {
	if l.Count++; len(l.First) < namedAtMost {
		l.First = append(l.First, e)
	}
}

// Off reports whether anything is missing anywhere.
func (r RepairReport) HasFindings() bool {
	return r.LogLost.Count+r.ArchiveLost.Count+r.Superseded.Count > 0 || r.Diverged || len(r.LanesAhead) > 0 || r.Unrepairable()
}

// Unrepairable reports whether something is missing that a repair cannot give back.
func (r RepairReport) Unrepairable() bool { return r.Damaged.Count+r.LostInBoth.Count > 0 }

// Run compares, and restores unless it is a dry run. Everything is compared before anything is written.
func (r Repair) Run(ctx context.Context) (RepairReport, error) {
	start := time.Now()
	c, err := r.compare(ctx)
	if err != nil {
		return RepairReport{}, fmt.Errorf("compare the log with the archive: %w", err)
	}
	if !r.DryRun {
		if err := r.restore(ctx, c); err != nil {
			return RepairReport{}, fmt.Errorf("restore: %w", err)
		}
	}
	c.report.Restored, c.report.Seconds = !r.DryRun, time.Since(start).Seconds()
	return c.report, nil
}
