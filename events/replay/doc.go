// Package replay reads the log of a running shop for its operators: the history of an order, the lag of each lane, the dead
// letters, and the differences between log and archive. The command line and the console call the same functions and therefore
// show the same.
//
// Reading has no effect on the shop: it creates no streams and no durable consumers, appends no event and takes no lease. The
// functions that change something are Pause, Resume, Redrive, Discard, those of [Replays], [Repair] and [Restore].
//
//	                                                                       (commands of ops)
//	Reader ──┬─ Each         the events up to a sequence                       (checks, sums)
//	         ├─ StateAt      the state of an entity at a moment, and Diff      (at, diff)
//	         ├─ Overview     what is wrong now                                 (ops alone)
//	         ├─ Follow       the same, and then new events                     (tail)
//	         ├─ Timeline     the events of one order, causes first             (timeline)
//	         ├─ Ledger       the stock movements of a SKU, page by page        (stock)
//	         ├─ DeadLetters  events that lanes cannot handle, with Causes      (deadletters)
//	         ├─ Redrive      asks lanes to handle them again; Discard settles  (deadletters redrive, discard)
//	         ├─ Replays      lanes handle any events again: Plan, Request, Drive  (redeliver, replays)
//	         ├─ Lanes        the position and the holder of each lane          (lag)
//	         └─ Pause        stops lanes; Resume starts them again             (pause, resume)
//
// A [Moment] is a sequence or a time. The states at it are folded by the domains' own rules, which programs pass as [Kind]; [Export] writes
// those of the whole shop to files.
//
// [Audit] compares the log with its archive event by event, and each server's copy of the log in a cluster. [Repair] gives each copy what
// it lacks. [Backup] writes a consistent state of a running
// shop to files, and [Restore] writes it into an empty installation.
//
// A log that lacks sequences before its end is damaged. Readers report such a gap and continue after it, because operators need to
// see the events that follow.
package replay
