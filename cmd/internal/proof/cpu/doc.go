// Package cpu says which part of a shop the processor works for.
//
//	watch := cpu.Start("http://127.0.0.1:8080", ordersSoFar)      profiles one stretch of a few seconds after the other
//	…
//	costs, err := watch.Stop()                                    milliseconds per order, by part
//
// A sample belongs to the part that owns the deepest frame of its stack: encoding JSON for the log is the log's work, and
// encoding it for a page is the page's. What is below all parts (a domain's rules, the standard library) belongs to whoever
// called it. The collector's and the scheduler's own work has no such caller and is named by itself.
package cpu
