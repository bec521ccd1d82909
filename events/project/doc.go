// Package project folds the log into MongoDB collections, which serve reports and jobs that look for overdue work.
//
// A projection is a set of collections that one lane keeps current. Each document holds the newest state of one entity and the
// sequence of its last event. Every collection is a pure function of the log: it can be dropped and computed again. Decisions
// never read it.
//
//	lane ─► gather events ─► read the newest state of each entity ─► write each document, unless the stored one is newer
//
// A projection reads the state of an entity when it writes the document, not when an event arrives. An entity that changed five
// times while events were gathered is written once; in the process that decides, its state is already in memory.
//
// Every write carries the sequence of its state and never replaces a document with a higher one, so a process that was suspended
// between read and write cannot overwrite newer data. A crash at any point only repeats writes with the same content. FerretDB
// cannot compare and write atomically. It therefore serves shops that run in one process, and the writer compares only with
// documents that it has not written itself.
//
// [Rebuild] compares a collection with the log and repairs the differences while the shop runs.
package project
