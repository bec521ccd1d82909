// Package journal keeps records in an append-only file. The development servers, the Stripe sandbox and the mail inbox,
// store in one what they acknowledge.
//
// It promises three things. A record whose Append returned survives the death of the process, because the operating
// system has all of it; it is not synced, so a power cut may take the last records. A record is complete or absent: Open
// cuts off what a killed process left unfinished. And one process at a time has the file.
//
// The life of a record: Append writes it at the end of the file and returns its position, by which Read finds it again.
// Open hands all of them to its caller, who keeps what it needs to find them: positions, not records. DropBefore rewrites
// the file without the oldest records; positions stay valid.
//
//	Append ──► position ──► Read …                 a new process: Open ──► every record and its position
//	              └───────► DropBefore
//
// A record is text. It ends with the journal's end mark, which is nowhere else in a record, so the file needs no index. A
// journal without a path keeps its records in memory, for tests and for servers that forget.
package journal
