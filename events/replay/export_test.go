package replay

import "time"

// SetTimeout sets how long a read waits for the next message that the broker has.
func (r *Reader) SetTimeout(timeout time.Duration) { r.timeout = timeout }

// SetWindow sets how many messages a trail reads at a time.
func (t *Trail) SetWindow(messages uint64) { t.window = messages }
