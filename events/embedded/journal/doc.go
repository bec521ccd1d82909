// Package journal stores records in an append-only file. The development servers, which are the Stripe sandbox and the mail
// inbox, keep in it the payments and mails that they have acknowledged.
//
// It promises three things. A record survives the death of the process once Append has returned, because the operating system
// has it; the file is not synced, so a power failure may lose the last records. A record is complete or absent: Open cuts off a
// record that a killed process did not finish. And only one process has the file open.
//
// Append writes a record at the end of the file and returns its position, with which Read finds it. Open passes all records to
// its caller, which keeps an index of positions. DropBefore rewrites the file without the oldest records; positions stay valid.
//
//	Append ──► position ──► Read …                 a new process: Open ──► every record and its position
//	              └───────► DropBefore
//
// A record is text. It ends with the journal's end mark, which occurs nowhere else in a record, so the file needs no lengths or
// index. A journal without a path keeps its records in memory, for tests and for servers without persistence.
package journal
