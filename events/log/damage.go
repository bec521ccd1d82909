package log

import (
	"errors"
	"fmt"
	"sync"
)

// damage is what readers of this process found the log to lack and the archive could not give, and what they found in it that
// this program does not understand.
type damage struct {
	mu    sync.Mutex
	gaps  map[string]*GapError // by reader
	newer map[uint64]error     // by sequence
}

// ReportReader tells the log how its reader of a name fares: err is nil, or why it stands still. While a reader stands before a
// [GapError] this process appends nothing: a decision could leave out what is missing.
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

// ReportNewer returns [events.ErrNewer] when a newer release wrote a message. From then on this process appends nothing, until
// the event is declared void: a decision could leave out what the event says.
func (l *core) ReportNewer(m Message) error {
	newer := m.Newer()
	if newer == nil {
		return nil
	}
	newer = fmt.Errorf("event %d: %w; run the release that wrote it, or one that is newer; if there is none: ops void %[1]d", m.Sequence, newer)
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	if l.Voided(m.Sequence) { // meanwhile: it would be kept here for ever
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

func (d *damage) voided(sequence uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.newer, sequence)
}

// Damage returns [ErrUnavailable] with a gap that a reader stands before, or an event that this program does not understand;
// nil when there is neither. It does not unwrap to them, lest who is held up by one is taken for who found it.
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

// missing is how many messages the log lacks at most.
func (d *damage) missing() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var most uint64
	for _, gap := range d.gaps {
		most = max(most, gap.To-gap.From+1)
	}
	return float64(most)
}
