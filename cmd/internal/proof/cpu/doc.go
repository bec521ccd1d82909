// Package cpu measures which part of a shop uses the processor.
//
//	watch, err := cpu.Start(ctx, "http://127.0.0.1:8080", ordersSoFar)      takes profiles of two seconds, one after another
//	…
//	costs, err := watch.Stop()                                              milliseconds per order, by part
//
// The shop must serve runtime profiles, as cmd/shop --pprof does. A sample is attributed to the part that owns the deepest
// frame of its stack: encoding JSON for the log counts as the log, encoding it for a page as HTTP. Frames that no part owns,
// such as a domain's rules and the standard library, count as the part that called them. The garbage collector and the
// scheduler have no such caller and are parts of their own.
package cpu
