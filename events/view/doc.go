// Package view is the third loop of a worker: it remembers a stream in MongoDB, for lists and searches, and keeps the
// archive, the log's second durable copy.
//
// It promises that a collection is always a function of the log: each document is one entity's newest state with the
// sequence of its last event, and any collection can be dropped and folded again. Nothing decides on what stands here.
//
//	deliver ─► gather for a moment ─► archive: every message, as a chunk    ─┐
//	                               └► per touched entity: newest state from  ├─► acknowledge
//	                                  the log's own fold ─► write document  ─┘
//
// The state is read when it is written, not when its event arrives. So a document never goes back when events are
// delivered again, an entity that changed five times within the moment is written once, and in the process that decides,
// the state is in memory already. A crash anywhere repeats inserts that are duplicates and writes that are equal.
package view
