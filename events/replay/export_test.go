package replay

import "time"

// SetTimeout sets how long a read waits for the next message that the broker has.
func (r *Reader) SetTimeout(timeout time.Duration) { r.timeout = timeout }
