// Package inbox is a mailbox for development and tests: a small SMTP server that takes every mail, for anybody, and
// shows it on a page. Nothing is delivered further, and nothing of it belongs in production.
//
// The life of a mail: a client connects (no TLS, no password, so listen on loopback), hands the mail over, the inbox
// takes it apart, writes it to its journal and only then answers 250. Memory keeps only for whom it is and where in the
// journal it lies; it is read from there whenever somebody looks at it, so ten thousand mails cost no more memory than
// their addresses. The journal survives a killed process; it is not synced against power cuts. An inbox without a
// directory has no journal and keeps the newest mails whole.
//
//	MAIL ──► RCPT ──► DATA … ──► [StageData] ──► journal ──► index ──► [StageKept] ──► 250
//
// In brackets, and at MAIL and RCPT too, tests may step in with Behave: refuse for now, refuse for good, or hang.
package inbox
