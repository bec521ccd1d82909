// Package notifications sends mails to customers when their orders are confirmed, rejected, expired, cancelled or refunded.
//
// It promises that such an outcome queues one mail, even if its event is delivered many times; and that a mail is recorded as
// sent, as failed, or as unknown. Unknown means that the connection broke while the server accepted the mail, so the shop cannot
// know whether it was delivered.
//
// One entity per order has all messages about it. Handled: orders.confirmed, rejected, expired, cancelled and refunded.
// Appended, for each message:
//
//	                                    ┌──────────────── again ────────────────┐
//	                                    ▼                                       │
//	(outcome) ──► notifications.queued ──► notifications.sending ──► no answer ─┤
//	                     │                      │         │                     └──► notifications.unknown (staff decide)
//	                     │                      │         └──► notifications.sent
//	                     └── refused ───────────┴────────────► notifications.failed
//
// notifications.sending is appended after the server has accepted the recipient and before the first byte of the mail is
// transmitted. If the server is down or busy, the message therefore stays queued and nothing is appended. Only a crash or a broken
// connection after that point makes the delivery uncertain. Then most mails are sent again under the same Message-ID, by which
// mail programs recognize a duplicate, at most three times in all. A mail about a refund is not sent again, because a customer who
// reads it twice expects the money twice.
//
// A server that refuses the shop itself (its name, its sender, its account, a sending limit) would refuse every mail. No mail
// fails because of that: the circuit of the lane opens, /readyz reports it, and all mails are sent when the server accepts the
// shop again. The rules in reply.go distinguish such a refusal from a refusal of the recipient. A recipient that is deferred
// (greylisting, a full mailbox) delays only the mails to that recipient. A mail that cannot be sent for four days fails.
//
// Anyone can order with the address of someone else. Therefore nothing is mailed about a guest's order for which nothing was
// authorized, and a recipient gets at most [Config].PerRecipient mails in an hour, counted from the attempts in the log. Mails over
// the limit about confirmed orders and refunds wait, others fail. A name that shows nothing or looks like a link is left out.
//
// The values in a mail are fixed when it is queued: the queued event has those of the outcome, and orders.placed, the first event
// of the order, has the goods, the totals and the address. Templates, language and the shop's address are taken when the mail is
// sent. So is the link with which a guest opens the order, because its token is never in the log.
package notifications
