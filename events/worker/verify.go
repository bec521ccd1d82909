package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	eventlog "tillstream/events/log"
)

// ErrVerifying is reported while the older events of the log are read to find gaps.
var ErrVerifying = errors.New("verifying the log")

// verifier looks for gaps in the log that a process finds when it starts. A gap is filled from the archive. What the archive
// lacks too is reported as damage, and the process decides nothing until the archive has it or a repair has replaced it.
//
//	1 ........ older ........ │ tail │ end of the log at the start
//	  in the background       │ before the first append
//
// The reader finds the gaps after that end.
type verifier struct {
	log    *eventlog.Log
	reader *reader

	mu       sync.Mutex
	from     uint64 // older messages than this one are verified from verified on
	verified uint64 // every message before this one is verified
	lost     []eventlog.GapError
}

const (
	// verifiedFirst is how many messages are verified before the first append: a third of a second.
	verifiedFirst = 100_000
	// verifyPatience is how long the start waits for a broker that does not answer.
	verifyPatience = time.Minute
	// archivePatience is how long the start waits for the archive's messages of a gap. The background continues to ask.
	archivePatience = 2 * time.Second
	// verifyEvery is the interval between two tries of what has failed.
	verifyEvery = time.Second
)

// startVerifier verifies the positions of the lanes, the gaps that the broker knows of, and the tail.
func startVerifier(ctx context.Context, l *eventlog.Log, r *reader) (*verifier, error) {
	if err := l.CheckMark(ctx); err != nil {
		return nil, err
	}
	end, err := l.End(ctx, 0)
	if err != nil {
		return nil, err
	}
	v := &verifier{log: l, reader: r, from: 1, verified: 1}
	if end > verifiedFirst {
		v.from = end - verifiedFirst + 1
	}
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	for next := v.from; ; {
		gaps, err := l.KnownGaps(ctx, end)
		for _, gap := range gaps {
			v.found(ctx, gap)
		}
		if err == nil {
			next, err = l.Verify(ctx, next, end, func(gap eventlog.GapError) error { v.found(ctx, gap); return nil })
		}
		if err == nil {
			return v, nil
		}
		if !errors.Is(err, eventlog.ErrUnavailable) || !Sleep(ctx, verifyEvery) {
			return nil, fmt.Errorf("verify the end of the log: %w", err)
		}
	}
}

// run verifies the older messages, and asks the archive again for those that it lacked, until both are done.
func (v *verifier) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := v.older(ctx)
		if err != nil && ctx.Err() == nil {
			v.log.Logger().Warn("log not verified", "next", v.verified, "error", err)
		}
		v.retryLost(ctx)
		if err == nil && !v.isLost() || !Sleep(ctx, verifyEvery) {
			return
		}
	}
}

// verifyPage is how many messages are verified between two reports of progress.
const verifyPage = 100_000

func (v *verifier) older(ctx context.Context) error {
	for v.verified < v.from {
		next, err := v.log.Verify(ctx, v.verified, min(v.verified+verifyPage, v.from)-1, func(gap eventlog.GapError) error {
			v.found(ctx, gap)
			return nil
		})
		v.mu.Lock()
		v.verified = next
		v.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// found fills a gap, or reports it as damage.
func (v *verifier) found(ctx context.Context, gap eventlog.GapError) {
	asking, cancel := context.WithTimeout(ctx, archivePatience)
	defer cancel()
	err := v.reader.fillGap(asking, gap)
	v.log.ReportReader(gapReader(gap), err)
	if err == nil {
		return
	}
	v.log.Logger().Error("the log lacks events, and the archive too", "from", gap.From, "to", gap.To, "error", err)
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Contains(v.lost, gap) { // the broker may know of it, and a reader finds it again
		v.lost = append(v.lost, gap)
	}
}

// gapReader is the name under which a gap is reported: no reader has stopped at it.
func gapReader(gap eventlog.GapError) string { return fmt.Sprintf("gap at %d", gap.From) }

// retryLost asks the archive again.
func (v *verifier) retryLost(ctx context.Context) {
	v.mu.Lock()
	lost := v.lost
	v.mu.Unlock()
	var still []eventlog.GapError
	for _, gap := range lost {
		err := v.reader.fillGap(ctx, gap)
		if v.log.ReportReader(gapReader(gap), err); err != nil {
			still = append(still, gap)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lost = still
}

func (v *verifier) isLost() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.lost) > 0
}

// progress returns [ErrVerifying] with how far the log is verified, nil when all of it is.
func (v *verifier) progress() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.verified >= v.from {
		return nil
	}
	return fmt.Errorf("%w: %d of %d older events read", ErrVerifying, v.verified-1, v.from-1)
}
