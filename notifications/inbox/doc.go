// Package inbox is a mailbox for development and tests: a small SMTP server that takes every mail, for anybody, and
// shows it on a page. Nothing is delivered further, and nothing of it belongs in production.
//
// The life of a mail: a client connects (no TLS, no password, so listen on loopback), hands the mail over, the inbox
// takes it apart, writes it to its journal and only then answers 250. The newest mails stay in memory; after a restart
// they are read back from the journal. The journal survives a killed process; it is not synced against power cuts.
//
//	MAIL ──► RCPT ──► DATA … ──► [StageData] ──► journal ──► memory ──► [StageKept] ──► 250
//
// In brackets, and at MAIL and RCPT too, tests may step in with Behave: refuse for now, refuse for good, or hang.
package inbox
