// Package invariants checks a running shop against the promises that must hold at any time. It folds the raw events with
// rules of its own, which share no code with the domains, so that a mistake in a domain's rules is found.
//
//	I1  every order is final or on its way; every order that was answered 201 exists; stock is held for days only while a bank processes
//	    the payment, and one that it still processes after its order has ended is an open item until the bank must have answered
//	I2  captured ≤ total; one PaymentIntent per order; each capture is made once; the log and Stripe agree
//	I3  per SKU on_hand = available + held ≥ 0; each ledger entry follows from the one before; the units held, sold and returned are
//	    those of the reservations, the reservations are for what was ordered, and what is returned is what orders return
//	I4  at most one mail per (order, template, fact), in the log and in the mailbox
//	I5  captured − refunded = price of the goods sold, or of those sent if money is captured when goods are sent; goods are sent for
//	    confirmed orders only, and no more than ordered; a refund that is not done yet is an open item
//	I6  log and archive hold the same events
//	I8  there are no open dead letters but those that were expected
//
// (I7, that every order ends within a minute after the last fault, is I1 checked a minute later.)
//
// [Check] runs while the shop sells. It reads the log up to its end at the start, which is a consistent cut of the shop. An
// order that looks wrong at that cut may just be on its way: it is a suspect, and its events are read again:
//
//	read the log ─► fold ─► rules ──► ok
//	                          │
//	                          └─► suspect ─► read its events again ─► ok
//	                                 ▲             │
//	                                 └─────────────┤ has moved within Options.Settle, and Options.Patience is not over
//	                                               └► finding
//
// An order moves when an event about it is stored.
//
// With Options.At it checks the shop as it was at an earlier moment: the log up to there, at the end of a commit, and the dead letters
// of that time. There is no second look then, an order that had moved just before counts as on its way, and what only other servers know
// is named as not checked.
//
// [Options] may lack the address of Stripe, the mailbox or the database. What cannot be checked without it is skipped and named
// in the [Report]. A part whose address is given but which does not answer is an error, never a silent success.
package invariants
