// Package archive is the second durable copy of the log, in MongoDB: every message, in chunks, in the order of the log.
//
// It promises that the archive is contiguous: it holds everything up to its head and nothing is missing before it. A batch
// that does not begin right behind the head is refused, never skipped, so a write that failed can only be followed by the
// same write. The lane then goes back to where the archive ends, as when its database was replaced by an older backup.
//
//	lane ─► gather ─► chunks (zstd of one line of JSON per message) ─► head
//
// One process at a time writes it. A process that dies between a chunk and the head leaves a chunk that its successor finds
// by its id. From the archive comes what the log has lost: [Archive.Messages] for a reader that meets a gap, and `ops repair`
// for a log that an older backup replaced.
package archive
