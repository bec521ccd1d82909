package payments

import (
	"cmp"
	"errors"
	"sync"
)

// maxFailures is how many entries in a row may fail before a run of the reconciler ends, because Stripe or the log is not available.
const maxFailures = 8

// failures are the temporary errors of a run. A few do not end it: when one request in ten fails, a run that ended with the first
// error would handle ten entries, and the next run the same ones.
type failures struct {
	mu    sync.Mutex
	inRow int
	first error // nil if there was none
}

// add counts the result of an entry, and returns an error that ends the run.
func (f *failures) add(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.inRow = 0
		return nil
	}
	f.first = cmp.Or(f.first, err)
	if f.inRow++; f.inRow < maxFailures && !errors.Is(err, ErrCircuitOpen) {
		return nil
	}
	return err
}
