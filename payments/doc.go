// Package payments charges orders through Stripe. It creates a PaymentIntent for an order, which is Stripe's object for one
// payment; it captures and refunds money, and records what Stripe reports about it.
//
// It promises that an order is paid by one PaymentIntent and captured at most once; that a payment with another amount,
// currency or mode than requested is never accepted; that money which arrives after an order has ended is refunded, once; and
// that Stripe's reports may arrive late, twice, in any order or only through Stripe's list of events, with the same result.
//
// Handled: orders.awaiting_payment, payment_accepted, expired, cancelled, rejected, refund_requested, and the webhooks of Stripe. Appended: the
// events of events/payments.go, on payments.<payment>. [events.FirstPaymentID] derives the payment's id from the order's. A
// webhook is stored on the payment that it names, without client secrets; one that names no payment of the shop is stored
// on payments.webhooks, in outline.
//
//	requested ──► intent_created ──► (requires_action | processing)* ──► authorized ──► captured ──► partly_refunded
//	    │               │  ▲ declined: another card     │                    │              │               │
//	    ▼               ▼  └────────────────────────────┘                    ▼              └──────────► refunded
//	  failed        cancelled ◄──────────────────────────────────────────────┘
//
// The diagram shows the usual path, but no transition is enforced: Stripe's reports arrive in any order, so a [Payment] is a set
// of facts. The fact that is furthest along the path gives the status, captured before cancelled, and no later fact changes it
// back.
//
// The lane payments.stripe makes all calls to Stripe. One purchase:
//
//	orders.awaiting_payment ─► payments.requested ─► the lane creates the intent ─► payments.intent_created
//	the shopper pays ─► webhook ─► payments.webhook_received + payments.authorized, in one commit ─► 200
//	orders.payment_accepted ─► the lane captures ─► payments.captured; the webhook about the capture adds no fact
//
// Where orders runs in the same process, orders.payment_accepted is in the commit of the webhook, too.
//
// When money is captured is a setting ([Config].Capture), which each payment keeps. With [events.CaptureAutomatic] Stripe captures, and
// the lane only records it. With [events.CaptureAtFulfilment] the purchase goes on like this:
//
//	the shopper pays ─► webhook ─► payments.webhook_received ─► the lane retrieves the intent ─► payments.authorized ─► orders.confirmed
//	orders.fulfilment_created ─► the lane captures what is due for the parcel ─► payments.captured ─► orders.payment_captured
//
// What a parcel captures is decided by [PartFor]: its price, if Stripe captures the authorization in parts, else all that is due with
// the first parcel. Captured amounts are sums over all captures, so a repeated capture is recognized. An authorization that ends before
// is recorded as payments.cancelled with the reason [events.CancelAuthorizationExpired], or as payments.captured without more.
//
// With which methods a payment can be made is a setting, too ([Config].Methods): the payment keeps those that its currency and amount
// allow, and cards if it names none. Methods that cannot be authorized first, such as sepa_debit, are always captured by Stripe. While a
// bank processes a payment for days, payments.processing names the method, and orders holds the stock meanwhile. It begins and ends with
// an answer of Stripe to the lane or the reconciler, because a webhook may be late. Stripe cancels no payment that a bank processes: if
// the order ends meanwhile, the payment stays open until the bank has answered. Then it is refunded, or cancelled at Stripe.
//
// A webhook alone confirms nothing. One that reports a capture which the lane has not made (staff captured it in Stripe's dashboard)
// makes the lane retrieve the intent, and Stripe's own answer is recorded. An event of another account or of the other mode is
// answered 200 and not stored, and a repeated one is not stored again. An event in another version of Stripe's API than
// [StripeAPIVersion] is answered 400, which names both versions. An authorization that was only claimed confirms no order
// either, because the capture fails.
//
// A dispute is recorded as Stripe returns it when the lane asks: after a webhook about it, after an event in Stripe's list, and every
// 15 minutes while it is open. An older answer, which has a status that comes earlier or fewer bookings, adds nothing. What Stripe books
// on the account has no webhooks: the reconciler walks the list of balance transactions and records those of the shop's payments.
//
// After [Config].CardAttempts declines the lane cancels the intent, so that nobody tests stolen cards with it. The cancellation
// has the reason [events.CancelDeclinedTooOften], and so does that of the order.
//
// Every call to Stripe stands between two events: one that requests it and one with its result. If the process crashes between
// them, the lane first retrieves the state from Stripe and then repeats the call under the same idempotency key. It trusts a key
// until an hour before Stripe deletes it. Keys are <payment>/create/v1, <payment>/capture/v1 or, for a part, <payment>/capture/<fulfilment>, <payment>/cancel/v1 and
// <payment>/refund/<refund id>. Stripe stores an error under a key, too, and replays it for a day. Captures and cancellations are
// then repeated without the key, which is safe because Stripe captures or cancels an intent only once.
//
// Other programs may use the same Stripe account: payment links, invoices, another shop. Whose an event is, its metadata says: those of
// an intent and of its charges name payment and order. An event that names none of the shop's is passed over. One that names a payment
// or order of the shop and contradicts it becomes a dead letter.
//
// Stripe's events about charges and refunds have the last change only. The lane retrieves the intent, whose metadata names
// the payment, and all its refunds. That answer is current even if the event is old. A refund that staff made in Stripe's dashboard
// names no payment, so the lane retrieves its intent to learn whose it is. Events of other types are stored and skipped.
//
// The reconciler is a periodic job that finds what webhooks missed: it reads Stripe's list of events from the position that the
// shop has reached, and retrieves intents that have not changed for a while. An entry of the list that cannot be read is logged, counted
// and passed over. Stripe lists an event in the version of its API that the account had; an intent in another version is retrieved.
//
// Staff list and search payments in memory: every process folds a list from the log (see package index).
//
// All calls go through one client with a rate limit and a circuit breaker. What an answer of Stripe is about (the payment, its state, the
// account, this moment, the request) stands in a table for each operation; see [About]. Only an answer about the payment ends it, and
// an answer that no table lists never does.
//
// An event that names an unknown payment of a known order or a second intent ([ErrUnmatched]), with another amount, currency or mode
// ([ErrMismatch]), or with a status that this program does not know ([ErrUnknownStatus]) becomes a dead letter. While Stripe
// refuses the API key or the account ([ErrAccount]) no event does: the circuit of the lane is open, and all calls wait.
package payments
