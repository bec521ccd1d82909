// Package worker runs the reactions of domains to events. It promises that every event is handled, in the order of the log,
// with one effect however often it is read; that an event which cannot be handled does not stop the others; and that a
// lane which is slow, paused or starting does not delay another.
//
// A process has one reader, which follows the whole log and keeps recent events in a bounded ring. Each lane has a place of
// its own and takes its events from the ring, or from the log where it is behind the ring:
//
//	log ──► reader ──► ring ─┬─► decide   events become facts; all domains of the process in one loop
//	                         ├─► act      events make something happen in the world: Stripe, mail
//	                         ├─► timer    deadlines that events set
//	                         ├─► batch    events become documents, chunks of the archive
//	                         └─► watch    what the process holds in memory
//
// A lane that must run once in the whole shop has a lease, and a checkpoint from which a successor goes on. The life of one
// event in a decide lane:
//
//	             ┌─ decided, with what follows from it in this process ──► commit ─► the place moves on
//	take ────────┼─ cannot be handled ──► dead letter ─► the place moves on   (bad payload, panic, impossible state)
//	             └─ log unavailable ────► the lane waits, again               (as long as it takes, never a dead letter)
//
// What follows is decided in the same transaction as far as this process runs the lanes for it, operators have not paused
// them, and they have handled what the entity said before: a domain hears of one entity in the order of the log. The rest
// is decided when it is read, as it is where the domains run in processes of their own.
//
// Operators can have a dead letter's event handled again: they ask for it in the log, and the lane comes to the request there. Every
// event is handled through a [Dispatcher], whether it is live, delivered again, or only looked at by a dry run.
//
// A crash anywhere before the checkpoint has the event handled again. Decisions are idempotent by state, so nothing happens
// twice.
package worker
