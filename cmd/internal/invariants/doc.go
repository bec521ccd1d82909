// Package invariants checks a living shop against its promises. It folds the raw events itself,
// by rules of its own that share no line with the domains, so that a mistake in a domain's rules shows.
//
//	I1  every order is final, or on its way; every order that was answered 201 is there
//	I2  captured ≤ total, one intent and at most one capture per order, in the log and at Stripe
//	I3  per SKU on_hand = available + held ≥ 0, each ledger entry follows from the one before, held and sold are what the
//	    reservations say, and those are for what was ordered
//	I4  at most one mail per (order, template, fact), in the log and in the mailbox
//	I5  captured − refunded = goods kept, else an open item that has a name
//	I6  log and archive hold the same events
//	I8  there are no dead letters, or exactly those that were expected
//
// (I7, that every order ends within a minute of the last fault, is I1 seen a minute later.)
//
// A living shop moves while it is checked. So the log is read up to where it stood at the start, which is a consistent cut of
// the shop, and an order that looks wrong there is looked at again, alone and up to date:
//
//	end of the log ─► fold it ─► rules ──► fine
//	                               │
//	                               └─► suspicious ─► read that order again ─► fine
//	                                        ▲             │  moved within the last minute: on its way,
//	                                        └─────────────┤  looked at a few times more
//	                                                      └► finding
package invariants
