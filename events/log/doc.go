// Package log is the shop's memory: an append-only log on JetStream in which an append names what its writer had seen.
//
// It promises that a fact is on disk before anybody is told about it, that facts which belong together are stored
// together or not at all, and that no fact is decided on a state that somebody else has changed meanwhile. There are no
// locks: whoever was slower is refused, reloads and decides again.
//
// The life of one append:
//
//	Do(fn) ─► Load (cache, else read the subject) ─► decide ─► Append (folded at once, message built)
//	   ▲                                                          │
//	   │ ErrConflict: evict, decide again                         ▼
//	   └──────────── committer: gathers what waits into one atomic batch, one in flight ─► fsync ─► ack
//
// An entity is one literal subject; its state is the fold of that subject. What domain code sees is [Kind] (one sort of
// entity), [Tx] (one decision) and [Log.Do].
package log
