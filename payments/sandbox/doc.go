// Package sandbox is a stateful Stripe for development and tests: an HTTP
// server that the ordinary Stripe client talks to by base URL, that remembers
// what it was told, and that answers in the shapes of Stripe's API at version
// 2023-10-16. No card network stands behind it; well-known test cards decide
// how an attempt to pay ends.
//
// What it promises:
//
//   - A state that was answered survives the death of the process. Everything
//     one request changed (objects, events, the answer kept under its
//     idempotency key) is one transaction in an append-only journal, handed to
//     the operating system before the answer leaves.
//   - The same idempotency key never does the work twice, also across restarts.
//   - Every event that a webhook subscribes to is delivered at least once,
//     signed, with a retry calendar; what was not delivered when the process
//     died is delivered by the next one.
//   - Memory holds what is being paid right now; of everything older it holds
//     only in which transaction of the journal it lies, some 300 bytes for a
//     whole payment.
//   - Card numbers exist only while a request is being read. What stays is
//     brand, last four digits and expiry.
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
// A request travels server.go (route) → call.go (who asks, what for) →
// idempotency.go (was this asked before) → an operation in intent_*.go,
// refund.go, event.go → tx.go (journal, then memory) → webhook.go. Development
// tools that slow, refuse or spoil answers plug into Config.Intercept; those
// that lose or delay webhooks bring their own Config.WebhookClient.
package sandbox
