// Package payments is the shop's till: what was asked for, what was taken, what went back, and what is not known yet.
//
// It promises that an order is paid by one PaymentIntent and captured at most once; that no amount, currency or mode but
// the one asked for is ever believed; that money which arrives for an order that has ended goes back, once; and that
// whatever Stripe says may arrive late, twice, in any order or only in Stripe's list of events, with the same result.
//
// It hears orders.awaiting_payment, payment_accepted, expired, cancelled and rejected, and what Stripe posts. It says the
// events of events/payments.go on payments.<payment>, whose id [events.FirstPaymentID] makes of the order's: an order may have
// several over its life. What Stripe posted is kept there too, as webhooksStored but without client
// secrets; what shows no intent of a payment of ours is kept on payments.webhooks.
//
//	requested ──► intent_created ──► (requires_action | processing)* ──► authorized ──► captured ──► partly_refunded
//	    │               │  ▲ declined: another card     │                    │              │               │
//	    ▼               ▼  └────────────────────────────┘                    ▼              └──────────► refunded
//	  failed        cancelled ◄──────────────────────────────────────────────┘
//
// A [Payment] is folded from the set of facts about it, so the picture shows how a status is usually reached, not what
// is checked: the furthest fact names the status, captured before cancelled, and nothing leads back.
//
// One purchase:
//
//	orders.awaiting_payment ─► payments.requested ─► actor: create intent ─► payments.intent_created
//	shopper confirms ─► Stripe posts ─► payments.webhook_received + payments.authorized, in one commit ─► 200
//	orders.payment_accepted ─► actor: capture ─► payments.captured, also said by a webhook, counted once
//
// Where orders runs in the same process, its orders.payment_accepted is in the commit of the webhook, too.
//
// A call to Stripe stands between two facts in the log, one that asks for it and one that tells. When the process dies in
// between, the call is made again under the same idempotency key, after looking at Stripe first; the key is not trusted any
// more an hour before Stripe forgets it. Keys are <payment>/create/v1, <payment>/capture/v1, <payment>/cancel/v1
// and <payment>/refund/<refund id>. What Stripe does only once to an intent, capture and cancel, is asked without the key when the
// key repeats an error.
//
// What Stripe says of charges and refunds names an intent but no order. Instead of keeping a second index, the actor
// asks Stripe for the intent, whose metadata names the payment, and for all its refunds; the answer is the truth of that
// moment, however old the event is. Events of other types are kept and passed over.
//
// What webhooks miss the reconciler finds: it goes through Stripe's list of events from where the shop has come, and asks
// about intents that have been quiet.
//
// What is neither ours nor as asked for becomes a dead letter: an unknown payment or second intent ([ErrUnmatched]), another
// amount, currency or mode ([ErrMismatch]), a status that this program does not know ([ErrUnknownStatus]). While Stripe
// refuses our key ([ErrKeyRefused]) nothing does: all calls wait until it is taken again.
package payments
