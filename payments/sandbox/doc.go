// Package sandbox is a stateful Stripe for development and tests: an HTTP server that the ordinary Stripe client talks to
// by base URL, with the shapes of Stripe's API at version 2023-10-16. No card network is behind it; well-known test cards
// decide how an attempt to pay ends.
//
// It promises:
//
//   - A state that was answered survives the death of the process. Everything one request changed (objects, events, the
//     answer stored under its idempotency key) is one transaction in the journal, which the operating system has before
//     the answer is sent. It is not synced: a power cut may take the last transactions.
//   - One idempotency key never does the work twice, also across restarts.
//   - Every event that is subscribed to is delivered at least once, signed, with retries. What was not delivered when the
//     process ended is delivered by the next one.
//   - Memory holds the payments in progress. Of every older one it holds the positions of its transactions in the
//     journal, some 300 bytes for a whole payment.
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
// A request passes server.go (route), request.go (credentials, parameters), idempotency.go (was it answered before), an
// operation in create.go, pay.go, charge.go or event.go, tx.go (journal, then memory), answer.go and webhook.go.
// Development tools that delay, refuse or change answers use Config.Intercept; those that lose or delay webhooks bring
// their own Config.WebhookClient.
package sandbox
