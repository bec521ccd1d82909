// Package embedded runs the two servers the shop leans on inside the process: nats-server, which keeps the log, and
// FerretDB on SQLite, which answers MongoDB's protocol for the views. It exists for cmd/shop and for tests; the worker
// programs talk to real servers and never import it.
//
// What it promises:
//
//   - An address that is taken, or a directory another process works in, is an error at once, never a hang or an exit.
//   - Both servers are ready when Start returns and have let go of their files when Stop returns.
//   - JetStream syncs every message to disk before it acknowledges it.
//   - FerretDB stays inside its directory and listens on its one address; nothing is reported to anyone.
//   - Killing the process at any moment loses nothing that was acknowledged. A power cut may cost the last documents
//     of the views, which the log gives back, and nothing of the log.
//
// What FerretDB v1.24.2 can carry, measured with its client on two busy cores, documents of about 600 bytes (the
// benchmarks here measure it again): insertMany of 500 takes 16,000 documents/s; a replacement by exactly {_id: x} runs at
// 1,200 to 3,500/s whatever the size of the collection; any other filter, {_id: {$in: …}} and indexed fields among them,
// reads the whole collection, 60 µs a document. One database has a hundred connections, and an update command holds
// one per operation until it ends: writers at once × operations per command must stay below 90, or they wait for each
// other for ever.
package embedded
