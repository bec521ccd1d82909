// Package log is the shop's event log: one append-only stream on JetStream, in which an append names the last event that
// its writer had seen of an entity.
//
// It promises that a fact is on disk before anybody is told about it, that facts which belong together are stored
// together or not at all, and that no fact is decided on a state that another writer has changed meanwhile. There are no
// locks: the slower of two writers is refused, reloads and decides again.
//
// The life of one append:
//
//	Do(fn) ─► Load (cache, else read the subject) ─► decide ─► Append (applied at once, message built)
//	   ▲                                                          │
//	   │ conflict: forget the cached state, decide again          ▼
//	   └──────────── committer: gathers what waits into one atomic batch, one in flight ─► fsync ─► acknowledge
//
// An entity is one literal subject; its state is the fold of that subject's events, which are numbered without gaps. The
// parts of the API are [Entity] (one kind of entity), [Tx] (one decision), [Log.Do] (decide and commit), [Log.Follow] (read
// everything in order), and [Checkpoint] and [Lease], by which a lane of a worker remembers its place and keeps it.
//
// Programs of two releases may run side by side. A process that starts adds to the broker what its [Topology] has more, says what
// it knows for as long as it runs, and is refused when events stand in the log that it does not understand; see members.go.
//
// A process opens the log once. Each domain in it gets a handle of its own by [Log.ForDomain], which may append under the
// domain's prefixes only.
package log
