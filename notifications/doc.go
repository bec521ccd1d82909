// Package notifications tells the customer what became of an order. It promises one mail per outcome, however often the
// outcome is delivered to it, and that what it cannot know (did the server take the mail before the line broke?) is said,
// not guessed.
//
// One entity per order holds its messages. It hears orders.confirmed, rejected, expired, cancelled and refunded, and says:
//
//	                                    ┌──────────────── again ────────────────┐
//	                                    ▼                                       │
//	(outcome) ──► notifications.queued ──► notifications.sending ──► no answer ─┤
//	                     │                      │         │                     └──► notifications.unknown (left to staff)
//	                     │                      │         └──► notifications.sent
//	                     └── refused for good ──┴────────────► notifications.failed
//
// "Sending" is said between the server's consent to the recipient and the first byte of the mail. So a mail server that is
// down or busy leaves the message queued and nothing in the log, and only a crash or a broken line after that point leaves
// it open whether the mail went out. What then happens is a rule per template: most are sent again under the same
// Message-ID, by which mail programs recognise a repeat; one about money is not, and staff decide.
//
// A server that refuses the shop itself (its name, its sender, its account, a sending limit) says nothing about the mail: no
// mail ends by that. The lane that sends them goes on hold, says so in readiness, and sends everything when the server takes
// mail of the shop again. The rules in reply.go tell such a refusal from one of the recipient. A recipient that takes no mail for
// now (greylisted, a full mailbox) has their own mail wait, and no other.
//
// What a mail says is fixed when it is queued: what the outcome decided stands in the queued event, and what was ordered in
// orders.placed, the first event of the order, which is read when the mail is written and never changes. How it looks
// (templates, language, the shop's address) is decided when it is sent, and the link that lets a guest see the order is made
// then too: its token never enters the log.
package notifications
