// Package loadgen simulates shoppers: it buys from a shop over HTTP, with retries, using only what a browser has.
//
// Only a purchase that the shop has confirmed counts as complete. Every other purchase is counted under its failure
// category ([Kind]), and the first error of each category is kept verbatim. A request without an answer is repeated under
// the same Idempotency-Key, as a correct client does, so a run can continue while the shop is killed and restarted.
//
// The life of one purchase:
//
//	Basket ──POST /api/orders──► Order ──GET …/payment──► client secret ──confirm at Stripe──┐
//	                               │                                                         │
//	                               └──GET …/events (one connection, opened at once)──────────┴──► confirmed
//
// [Run] lets concurrent shoppers buy the baskets of a [Source]: [Generator] draws random baskets from the catalogue, [Replay]
// takes them from the invoices of a real shop. Observers get the outcome of every purchase: [Tally] counts them for [Progress]
// and [Report], and [Books] records the orders, so that [Books.Sums] can sum file, orders, Stripe and stock ledger after the
// run and [Compare] can compare the sums.
package loadgen
