// Package inbox is a mailbox for development and tests: a small SMTP server that accepts every mail, to any address, and
// shows it on a page. It delivers nothing further, and nothing of it belongs in production.
//
// The life of a mail: a client connects (no TLS, no password, so listen on loopback) and sends the mail. The inbox decodes
// it, appends it to its journal and only then answers 250. Memory holds the mail's recipients and its position in the
// journal, where it is read again when it is shown, so ten thousand mails cost no more memory than their addresses. The
// journal survives a killed process; it is not synced, so a power cut may take the last mails. Without a directory the
// journal is in memory.
//
//	MAIL ──► RCPT ──► DATA … ──► [StageData] ──► journal ──► index ──► [StageStored] ──► 250
//
// At the stages in brackets, and at MAIL and RCPT, a test may step in with [Inbox.Intercept]: refuse for now, refuse for good,
// or hang.
package inbox
