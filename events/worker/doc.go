// Package worker runs a domain's reactions to events. It promises that every event is handled, in the order of its
// stream, with one effect however often it is delivered; and that one event nobody can handle does not stop the others.
//
//   - A [Decider] turns events into facts. Its consumer is read by one active replica; a standby takes over within
//     seconds. What has arrived is decided in one transaction and committed at once, then acknowledged.
//   - An [Actor] touches the world: Stripe, SMTP. It runs concurrently, keeps its claim on a message alive while it
//     works, and retries by its own calendar. Its result is appended as a fact by the handler.
//   - A [Sweep] runs every so often and finds what promptness missed.
//
// The third loop, remembering facts in MongoDB, is package view.
//
//	             ┌─ decided ──────────► commit ─► ack
//	deliver ─────┼─ cannot be handled ─► PARKED ─► ack      (bad payload, unknown version, panic, impossible state)
//	             └─ log unavailable ───► wait, again        (for ever, never parked)
//
// A crash anywhere before the ack delivers the event again. Decisions are idempotent by state, so nothing happens twice.
package worker
