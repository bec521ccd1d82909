// Package loadgen buys things, as many shoppers would: over HTTP, with retries, and with nothing but what a browser has.
//
// It promises that its numbers mean something. Only a purchase that the shop has confirmed counts; every other one is
// counted by the kind of its failure, and the first error of each kind is kept word for word. A request that got no
// answer is repeated under the same Idempotency-Key, as an honest client would, so a run can outlive the shop's death.
//
// The life of one purchase:
//
//	Basket ──POST /api/orders──► Order ──GET …/payment──► client secret ──confirm at Stripe──┐
//	                               │                                                         │
//	                               └──GET …/events (one connection, opened at once)──────────┴──► confirmed
//
// Where baskets come from is a [Source]: [Generator] makes them up from the catalogue and a seed, [Replay] takes them from
// a real shop's invoices. Who looks at the outcomes is a list of observers ([Tally], [Progress], [Books]), so a run that
// goes on for a day with faults in between is another source and another observer, not another engine.
package loadgen
