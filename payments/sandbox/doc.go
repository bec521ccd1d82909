// Package sandbox is a stateful imitation of Stripe for development and tests: an HTTP server for the ordinary Stripe client,
// with the objects of Stripe's API version 2023-10-16. Instead of a card network, Stripe's published test cards decide how an
// attempt to pay ends.
//
// It promises:
//
//   - An answered request survives the end of the process. Everything that a request changed (objects, events, the answer
//     under its idempotency key) is one transaction in the journal, which is written to the operating system before the
//     answer is sent. The journal is not synced, so a power cut may lose the last transactions.
//   - An idempotency key never does its work twice, even across restarts.
//   - Every subscribed event is delivered at least once, signed, with retries. The next process delivers the events that were
//     not delivered when this one ended.
//   - Memory holds the payments in progress. Of an older payment it holds the positions of its transactions in the journal,
//     about 300 bytes.
//   - Card numbers exist only while a request is read. Brand, last four digits and expiry are stored.
//
// The life of a payment:
//
//	            create
//	              │
//	              ▼
//	requires_payment_method ◀──────────────┐
//	              │ confirm                │ declined, or
//	              │                        │ authentication failed
//	              ├──── 3-D Secure ──▶ requires_action
//	              │                        │ completed
//	              ▼                        ▼
//	capture_method manual        capture_method automatic
//	              │                        │
//	              ▼        capture         ▼
//	       requires_capture ─────────▶ succeeded ──▶ refunds
//
//	cancel leads from every state but succeeded to canceled
//
// A request passes server.go (route), request.go (credentials), form.go (parameters), idempotency.go (stored answers), an
// operation in create.go, pay.go, charge.go, refund.go, list.go, search.go or event.go, tx.go (journal, then memory), answer.go
// and webhook.go. Config.Intercept delays, refuses or changes answers; Config.WebhookClient can lose or delay webhooks.
package sandbox
