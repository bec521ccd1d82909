// Package archive keeps the second durable copy of the log, in MongoDB: every message, in chunks, in the order of the log.
//
// The archive is contiguous: it holds every message up to its head, the sequence of the last one. It refuses a batch that does
// not begin directly after the head, so after a failed write no later message can be archived first. The lane that writes the
// archive always begins at the head, also when an older backup has replaced the database.
//
//	lane ─► gather messages ─► chunks (zstd of one line of JSON per message) ─► head
//
// One process at a time writes the archive. A process that is killed between chunk and head leaves a chunk that its successor
// recognizes by its id.
//
// The archive restores what the log has lost: [Archive.Messages] serves a reader that meets a gap, and `ops repair` restores a
// log that an older backup replaced. While a part of the archive is set aside ([Archive.SetAside]) or a backup is restored
// ([Archive.BeginRestore]), the head says so, and no process starts.
package archive
