// Package notifications sends customers mails about their orders. It promises one mail per outcome of an order, however often
// the event of the outcome is delivered, and that a delivery whose result is unknown is recorded as such: if the connection
// breaks while the server accepts a mail, the shop cannot know whether it was delivered.
//
// One entity per order has the messages about it. Handled: orders.confirmed, rejected, expired, cancelled and refunded.
// Appended, for each message:
//
//	                                    ┌──────────────── again ────────────────┐
//	                                    ▼                                       │
//	(outcome) ──► notifications.queued ──► notifications.sending ──► no answer ─┤
//	                     │                      │         │                     └──► notifications.unknown (staff decide)
//	                     │                      │         └──► notifications.sent
//	                     └── refused ───────────┴────────────► notifications.failed
//
// "sending" is appended after the server has accepted the recipient and before the first byte of the mail. So a server that is
// down or busy leaves the message queued and appends nothing; only a crash or a broken connection after that point leaves the
// delivery unknown. Each template then has a rule: most mails are sent again under the same Message-ID, by which mail programs
// recognize a duplicate. A mail about a refund is not sent again, because a customer who reads it twice expects the money
// twice.
//
// A server that refuses the shop itself (its name, its sender, its account, a sending limit) would refuse every mail, so no
// mail fails for it. The circuit of the lane opens, readiness reports it, and all mails are sent when the server accepts the
// shop again. The rules in reply.go tell such a refusal from one of the recipient. A recipient that is deferred (greylisted, a
// full mailbox) delays its own mail and no other.
//
// The content of a mail is fixed when it is queued: the queued event has the values of the outcome, and orders.placed, the first
// event of the order, has the goods, the totals and the address. Templates, language and the shop's address are those of the
// time of sending. So is the link with which a guest sees the order: its token is never in the log.
package notifications
