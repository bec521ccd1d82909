// Package replay reads a running shop's log for the people who look after it: what happened to an order, what waits,
// what was set aside. The operators' terminal and their web page call the same functions, so they show one truth.
//
// Reading changes nothing: it creates no streams and no durable consumers, appends no fact and moves nobody's place; what
// it reads with goes away by itself. What changes something says so by its name.
//
//	Reader ──┬─ Each      what stands in a stream, up to a sequence        (checks, sums)
//	         ├─ Follow    the same and then what comes                     (tail)
//	         ├─ Timeline  one order through all streams, causes first      (timeline)
//	         ├─ Parked    what workers set aside, counted by cause         (parked)
//	         ├─ Consumers how far each worker is behind                    (lag)
//	         └─ Pause     stops workers, Resume lets them go on            (pause, resume)
package replay
