// Package incident plays incidents in a real shop of many processes, with real programs and the real ops, while shoppers buy, and
// prints what staff type and see. Two incidents are played:
//
//	bad release   every process of orders is replaced by a release that cannot book captured payments ─► the payments become dead
//	              letters: their shoppers have paid and wait ─► staff find one cause ─► the release is fixed ─► one command redrives
//	mail refused  the mail server refuses the shop's sender ─► the circuit opens, mails wait, the shop sells ─► the server accepts
//	              the sender again ─► the mails are sent, each once
//
// After an incident nothing may be lost: every order that was placed is confirmed, each shopper got one mail, ops verify finds
// nothing, and the log says what staff did, who it was, why, and from where. A difference is an [ErrUnexpected].
//
// The bad release is built from the source of this module with one edit ([BuildBroken]), so the programs have no switch for it.
package incident
