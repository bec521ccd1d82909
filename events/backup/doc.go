// Package backup is the files of a backup: a directory that holds everything a shop is made of up to one sequence of its
// log, the cut.
//
//	manifest.json          format, topology, cut, and of every other file its lines, bytes and SHA-256
//	log.jsonl.zst          every message of the log from 1 up to the cut
//	deadletters.jsonl.zst  the dead letters about them
//	checkpoints.jsonl.zst  how far lanes had come, never beyond the cut
//	aside.jsonl.zst        what repairs have set aside: it is in the log no more
//	secrets.json           tokens and keys of a shop in one process, as they stood in its data directory
//
// A file is one line of JSON per record, compressed with zstd (RFC 8878): `zstd -dc log.jsonl.zst` shows it. All belong to
// their owner alone, because they hold customers' addresses.
//
// The manifest is written last, under another name, and renamed when everything is on disk. So a directory with a
// manifest.json is a whole backup, and one that was cut off is none:
//
//	[Create] ──► Lines, Put … ──► Finish ──► whole        [Open] reads every byte of it before anything is restored
//	                   └──► Abandon, or a crash ──► unfinished
//
// What the files mean, and in which order they have to be read from a living shop, is the business of package replay.
package backup
