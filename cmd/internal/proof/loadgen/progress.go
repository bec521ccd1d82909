package loadgen

import (
	"context"
	"fmt"
	"io"
	"time"

	"tillstream/cmd/internal/ansi"
)

// Told hears how far something that takes a while is.
type Told func(what string, done, total int)

// Progress says every now and then how far a run is.
type Progress struct {
	To       io.Writer
	Every    time.Duration // default 1 s
	Terminal bool          // the line replaces the one before
	Total    int           // 0: unknown
	Run      *Run
	Tally    *Tally
	More     func() string // said at the end of the line; default: nothing
}

// Show runs until ctx ends. What it cannot write it gives up: it is only for those who watch.
func (p Progress) Show(ctx context.Context) {
	every := p.Every
	if every == 0 {
		every = time.Second
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	before, last := 0, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			ended, confirmed, failed := p.Tally.Counts()
			if _, err := io.WriteString(p.To, p.line(ended, failed, float64(confirmed-before)/now.Sub(last).Seconds())); err != nil {
				return
			}
			before, last = confirmed, now
		}
	}
}

func (p Progress) line(ended, failed int, rate float64) string {
	done := fmt.Sprint(ended)
	if p.Total > 0 {
		done = fmt.Sprintf("%d/%d", ended, p.Total)
	}
	text := fmt.Sprintf("%s done, %.1f orders/s, %d in flight, %d failed", done, rate, p.Run.InFlight(), failed)
	if p.More != nil {
		text += p.More()
	}
	if p.Terminal {
		return ansi.Line(text)
	}
	return text + "\n"
}

// Clear takes the line away before something else is written.
func (p Progress) Clear() string {
	if p.Terminal {
		return ansi.Clear
	}
	return ""
}
