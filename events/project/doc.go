// Package project folds the log into MongoDB collections, for lists and searches.
//
// It promises that a collection is always a function of the log: each document is one entity's newest state with the
// sequence of its last event, and any collection can be dropped and folded again. Nothing decides on what stands here.
//
//	lane ─► gather for a moment ─► per touched entity: newest state ─► write the document unless a newer one is there
//
// The state is read when it is written, not when its event arrives. So an entity that changed five times within the moment
// is written once, and in the process that decides, the state is in memory already. Every write names the sequence of its
// state and gives way to a document with a later one, so a process that was suspended between reading and writing cannot
// put an old document over a new one. A crash anywhere repeats writes that are equal. FerretDB cannot compare as it writes;
// it is for a shop in one process, which compares only with what it has not written itself.
//
// [Rebuild] compares a collection with the log and mends what differs, while the shop goes on.
package project
