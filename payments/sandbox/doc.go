// Package sandbox is a stateful imitation of Stripe for development and tests: an HTTP server for the ordinary Stripe client,
// with the objects of Stripe's API version 2023-10-16. Instead of a card network, Stripe's published test cards decide how an
// attempt to pay ends.
//
// It promises:
//
//   - An answered request survives a killed process. Everything that a request changed (objects, events, the answer under its
//     idempotency key) is one transaction in a file, the journal. It is handed to the operating system before the answer is
//     sent, but not synced, so a power cut may lose the last transactions.
//   - A request that is repeated under its idempotency key is not executed again, even after a restart.
//   - Every subscribed event is delivered at least once, signed, with retries. The next process delivers the events that were
//     not delivered when this one ended.
//   - Memory holds only the most recent payments, and about 300 bytes of each older one: the positions of its transactions in
//     the journal.
//   - Card numbers exist only while a request is read. Brand, last four digits and expiry are stored.
//
// The life of a payment:
//
//	create ──► requires_payment_method ◄──────────────────────────┐
//	             │ confirm with a card                            │
//	             ├── needs 3-D Secure ──► requires_action         │
//	             │                          │     └── fails ──────┤
//	             │                          │ completed           │
//	             ▼                          │                     │
//	           bank decides ◄───────────────┘                     │
//	             │  └── declines ─────────────────────────────────┘
//	             │ approves
//	             ├── capture_method manual ────► requires_capture ── capture ──► succeeded ──► refunds
//	             └── capture_method automatic ─────────────────────────────────► succeeded ──► refunds
//
// An intent that has a card and is not confirmed yet is requires_confirmation. Cancel leads from every status but succeeded to
// canceled.
//
// The files in the order in which a request passes them: server.go (route), request.go (credentials), form.go (parameters),
// idempotency.go (stored answers), an operation in create.go, pay.go, charge.go, refund.go, list.go, search.go or event.go,
// tx.go (journal, then memory), answer.go and webhook.go. Config.Intercept delays, refuses or changes answers;
// Config.WebhookClient can lose or delay webhooks.
package sandbox
