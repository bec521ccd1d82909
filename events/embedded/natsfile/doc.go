// Package natsfile checks the message files of a stopped nats-server for damage, and isolates it.
//
// nats-server 2.15 handles a damaged record badly. After an unclean stop it truncates the file at the first record whose
// checksum is wrong, which deletes every good record after it; the stream then ends early and the next append reuses
// sequences. After a clean stop it serves the stream without that sequence and reports nothing. Sometimes it crashes while
// it starts. A program that embeds the server therefore calls [Check] before it starts the server:
//
//	files of a stopped server ──Check──► no damage: start
//	                                 └─► damage ──Isolate──► the damaged bytes become one deleted message: start
//
// After [Damage.Isolate] only the sequences in the damaged bytes are missing. Readers of the stream see them as a gap, and
// everything before and after it is intact. A copy of the damaged bytes is kept beside the file.
//
// A file of messages ("msgs/1.blk") is a sequence of records, all integers in little endian (nats-server 2.15.2,
// server/filestore.go, writeMsgRecordLocked):
//
//	length 4 | sequence 8 | time 8 | subject length 2 | subject | [header length 4 | header] | body | checksum 8
//
// The highest bit of the length is set if there is a header; the highest bit of the sequence if the message is deleted. The
// checksum is the 64-bit HighwayHash of sequence, time, subject, header and body; its key is the SHA-256 of stream and file ("SHOP-1").
// It does not cover the lengths, so the subject length of a message without a header cannot be verified.
//
// The package reads streams without compression and encryption, which the embedded server does not use, and returns
// [ErrUnsupported] for others.
package natsfile
