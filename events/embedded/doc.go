// Package embedded runs the shop's two servers inside the process: nats-server, which stores the log, and FerretDB on SQLite,
// which serves MongoDB's protocol for the projections. It is for cmd/shop and for tests. The programs of a shop in several
// processes connect to separate servers and must not import it.
//
// It promises:
//
//   - An address or a directory that is in use is an error at once; the start neither hangs nor ends the process.
//   - Both servers are ready when Start returns and have closed their files when Stop returns.
//   - A damaged file of the log is named before the server starts, and costs only the messages in the damaged bytes.
//   - JetStream syncs every message to disk before it acknowledges it.
//   - With a token and a key file, only clients that have them can connect. FerretDB accepts any password with SQLite, so it
//     requires a TLS client certificate, which costs no measurable time: 2,500 to 2,900 replacements/s with or without it.
//   - FerretDB uses only its directory and its one address, and sends no telemetry.
//   - If the process is killed at any moment, nothing acknowledged is lost. A power failure may lose the last documents of the
//     projections, which are computed from the log again, but nothing of the log.
//
// The limits of FerretDB v1.24.2, measured with its client on two busy cores and documents of about 600 bytes (run the benchmarks
// to measure it again): insertMany of 500 inserts 16,000 documents/s; a replacement by exactly {_id: x} runs at 1,200 to
// 3,500/s for any size of the collection; every other filter, including {_id: {$in: …}} and indexed fields, reads the whole
// collection at 60 µs a document. One database has a hundred connections, and an update command holds one per operation until
// it ends. Concurrent writers × operations per command must stay below 90; above that, commands can deadlock.
package embedded
