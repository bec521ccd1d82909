package log

import (
	"errors"
	"fmt"
	"sync"
)

// damage holds the gaps that readers of this process found in the log and could not fill from the archive, and the events
// that a newer release wrote.
type damage struct {
	mu    sync.Mutex
	gaps  map[string]*GapError // by reader
	newer map[uint64]error     // by sequence
}

// ReportReader records the state of a reader: err is nil, or the reason why the reader has stopped. While a reader has
// stopped at a [GapError] this process appends nothing, because decisions would be made without the missing events.
func (l *core) ReportReader(reader string, err error) {
	var gap *GapError
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	if errors.As(err, &gap) {
		l.damage.gaps[reader] = gap
	} else {
		delete(l.damage.gaps, reader)
	}
}

// ReportNewer records a message that a newer release wrote, and returns [events.ErrNewer] for it; nil for any other message.
// This process then appends nothing until the event is declared void, because decisions would be made without that event.
func (l *core) ReportNewer(m Message) error {
	newer := m.Newer()
	if newer == nil {
		return nil
	}
	newer = fmt.Errorf("event %d: %w; run the release that wrote it, or a newer one; if there is none: ops void %[1]d", m.Sequence, newer)
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	if l.Voided(m.Sequence) { // declared void meanwhile: an entry made now would never be removed
		return nil
	}
	if l.damage.newer == nil {
		l.damage.newer = map[uint64]error{}
	}
	l.damage.newer[m.Sequence] = newer
	return newer
}

// Newer returns [events.ErrNewer] when this process has read an event that a newer release wrote and that is not void.
func (l *core) Newer() error {
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	for _, err := range l.damage.newer {
		return err
	}
	return nil
}

func (d *damage) removeNewer(sequence uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.newer, sequence)
}

// Damage returns [ErrUnavailable] with the gap at which a reader has stopped, or with an event that this program cannot read;
// nil when there is neither. The error does not unwrap to [GapError] or [events.ErrNewer]: callers take those for the error
// of a reader that has stopped, and Damage also stops lanes whose own reader can continue.
func (l *core) Damage() error {
	if err := l.Newer(); err != nil {
		return fmt.Errorf("%w: %v", ErrUnavailable, err) //nolint:errorlint // see above
	}
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	for _, gap := range l.damage.gaps {
		return fmt.Errorf("%w: %v", ErrUnavailable, gap) //nolint:errorlint // see above
	}
	return nil
}

// missing returns the size of the largest gap.
func (d *damage) missing() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var most uint64
	for _, gap := range d.gaps {
		most = max(most, gap.To-gap.From+1)
	}
	return float64(most)
}
