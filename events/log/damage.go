package log

import (
	"errors"
	"fmt"
	"sync"
)

// damage is what readers of this process found the log to lack and the archive could not give.
type damage struct {
	mu   sync.Mutex
	gaps map[string]*GapError // by reader
}

// ReadTo tells the log how its reader of a name fares: err is nil, or why it stands still. While a reader stands before a
// [GapError] this process appends nothing: a decision could leave out what is missing.
func (l *core) ReadTo(reader string, err error) {
	var gap *GapError
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	if errors.As(err, &gap) {
		l.damage.gaps[reader] = gap
	} else {
		delete(l.damage.gaps, reader)
	}
}

// Damage returns [ErrUnavailable] with a gap that a reader stands before, nil when none does. It does not unwrap to the gap,
// lest who is held up by it is taken for who found it.
func (l *core) Damage() error {
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
