// Package inbox is a mailbox for development and tests: a small SMTP server that accepts every mail, to any address, and shows
// it on a page. It forwards nothing, and must not be used in production.
//
// The life of a mail: a client connects (without TLS and password, so listen on loopback) and sends the mail. The inbox decodes
// it, appends it to its journal and then answers 250. Memory holds the recipients and the position in the journal, from which
// the mail is read when it is shown, so ten thousand mails need only the memory of their addresses. The journal survives a
// killed process; it is not synced, so a power cut may lose the last mails. Without a directory the journal is in memory.
//
//	MAIL ──► RCPT ──► DATA … ──► [StageData] ──► journal ──► index ──► [StageStored] ──► 250
//
// At the stages in brackets, and at MAIL and RCPT, a test can intervene with [Inbox.Intercept]: refuse temporarily, refuse
// permanently, or hang.
package inbox
