// Package failpoint names the moments at which a process of the shop may die or stand still, and lets tests choose one.
//
// It promises to cost next to nothing while it is off, which is always but in a test: [At] and [AtPlace] then load one word and
// return. What it is there for: a promise such as "no order is charged twice" holds only if it holds whenever the power
// goes, and the interesting moments last microseconds. A test that kills at random finds them by luck; one that names
// them finds them every time.
//
//	failpoint.At("payments.after_capture")            in the code: this moment
//	failpoint.AtPlace("payments.stripe", "act.done")       the same moment has many places: in which lane
//
//	FAILPOINT_KILL=payments.after_capture               the process kills itself when it gets there
//	FAILPOINT_KILL=act.done@payments.stripe:3           when it gets there for the third time, in that lane
//	FAILPOINT_STOP=append.stored                         it stands still (SIGSTOP) until somebody sends SIGCONT
//
// A trap can also be laid while processes run, for all of them at once: each looks into a file whenever it passes a point.
// The first that gets to the moment takes the file away and is the only one hurt; see [Config].
//
//	file "trap" says "kill act.done@payments.stripe:1" ─► a process gets there ─► renames it to "trap.<its id>" ─► dies
//
// Only programs arm, because only they read settings. All points stand in one table, so a misspelt one is refused at
// the start, and a test can go through all of them.
package failpoint
