// Package replay reads a running shop's log for the people who look after it: what happened to an order, which lanes are
// behind, what could not be handled, what a copy has lost. The operators' terminal and their web page call the same
// functions, so they show the same.
//
// Reading changes nothing: it creates no streams and no durable consumers, appends no fact and takes no lane's place; what
// it reads with goes away by itself. What changes something says so by its name.
//
//	Reader ──┬─ Each         what stands in the log, up to a sequence      (checks, sums)
//	         ├─ Follow       the same and then what comes                  (tail)
//	         ├─ Timeline     one order, causes first                       (timeline)
//	         ├─ DeadLetters  what lanes could not handle, and Causes       (deadletters)
//	         ├─ Lanes        how far each lane is, and which process has it (lag)
//	         ├─ Redrive      has lanes handle them again, Discard settles  (deadletters redrive, discard)
//	         └─ Pause        stops lanes, Resume lets them go on           (pause, resume)
//
// [Repair] compares the log with its archive and gives each back what it has lost. [Backup] writes one moment of a living shop
// to files, and [Restore] puts it into an empty installation. Where the log lacks messages before its
// end it is damaged: readers here say so and go on, because what follows is what an operator must see.
package replay
