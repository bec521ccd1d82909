// Package backup reads and writes the files of a backup: a directory with everything that a shop consists of, up to one sequence
// of its log, the cut.
//
//	manifest.json          format, topology and cut, and the lines, bytes and SHA-256 of every other file
//	log.jsonl.zst          every message of the log from 1 up to the cut
//	deadletters.jsonl.zst  the dead letters of those messages
//	checkpoints.jsonl.zst  the positions of the lanes, never beyond the cut
//	aside.jsonl.zst        messages that repairs have set aside; the log no longer has them
//	secrets.json           tokens and keys of a shop in one process, as in its data directory
//
// A file with records has one line of JSON per record, compressed with zstd (RFC 8878): `zstd -dc log.jsonl.zst` prints it. Only
// the owner can read the files, because they contain the addresses of customers.
//
// The manifest is written last, under another name, and renamed when everything is on disk. A directory with a manifest.json is
// therefore complete:
//
//	[Create] ──► Lines, Put … ──► Finish ──► complete     [Open] verifies every byte before anything is restored
//	                   └──► Abandon, or a crash ──► unfinished
//
// Package replay defines the content of the files and the order in which they are read from a running shop.
package backup
