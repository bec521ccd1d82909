package replay

import "time"

// SetTimeout sets how long a read waits for the next message that the broker has.
func (r *Reader) SetTimeout(timeout time.Duration) { r.timeout = timeout }

// WithChunk sets how many entities are folded at a time.
func (x Export) WithChunk(entities int) Export {
	x.chunk = entities
	return x
}

// SetWindow sets how many messages a trail reads at a time.
func (t *Trail) SetWindow(messages uint64) { t.window = messages }
