// Package worker runs the event handlers of domains. It promises that every event is handled, in the order of the log, with
// one effect however often it is read; that an event which cannot be handled does not stop the others; and that a lane which
// is slow, paused or starting does not delay another lane.
//
// A process has one reader, which follows the whole log and keeps recent events in a bounded ring. Each lane has a position of
// its own and takes its events from the ring, or from the log while it is behind the ring:
//
//	log ──► reader ──► ring ─┬─► decide   events lead to further events; all domains of the process share one loop
//	                         ├─► act      events lead to calls to other systems: Stripe, a mail server
//	                         ├─► timer    events set deadlines
//	                         ├─► batch    events are written to projections, and to the archive
//	                         └─► watch    events update what the process holds in memory
//
// Watches run in every process, and so do the periodic jobs, which check for what a timer or a webhook has missed. Every other
// lane runs in one process of the shop at a time: it has a lease, and a checkpoint from which the next holder of the lease
// continues. The life of one event in a decide lane:
//
//	             ┌─ decided, with its cascade in this process ──► commit ──► position advances
//	take ────────┼─ cannot be handled ──► dead letter ──► position advances   (bad payload, panic, impossible state)
//	             └─ log unavailable ────► backoff, then again                 (for as long as it takes; never a dead letter)
//
// The events that a decision appends may lead to further decisions: its cascade, which is decided in the same transaction. A
// cascade enters only lanes that this process runs, that operators have not paused, and that have handled every earlier event
// of the entity, because a domain must see the events of one entity in the order of the log. A decision that a cascade
// leaves out is made when its event is read, as every decision is when the domains run in separate processes.
//
// Operators redrive a dead letter by appending a request to the log; the lane handles the event when it reads the request. In a
// replay they request any events again, in batches, which the lane handles beside its live events: see [Replay].
// Every event, live, redelivered or in a dry run, is handled through a [Dispatcher].
//
// After a crash, the next holder handles every event after the checkpoint again. Decisions are idempotent by state, and an act
// looks for the effect of an earlier attempt, so this has no second effect.
package worker
