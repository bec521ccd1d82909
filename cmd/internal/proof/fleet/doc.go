// Package fleet is a shop as it runs in production, on one machine and in the hands of whoever starts it: a broker, a
// database, replicas of each worker and a storefront, each a process of its own, and in the starter's process what is not
// the shop's: Stripe and a mail server.
//
//	┌ the starter ───────────────┐      ┌ processes ─────────────────────────────────────┐
//	│ Outside: Stripe's sandbox ◄┼──────┼─ payments 1, 2 ───────────┐                     │
//	│          mail inbox       ◄┼──────┼─ notifications 1, 2 ──────┤    ┌► broker        │
//	│ Between: anything that     │      │  inventory 1, 2 ──────────┼─✂──┤                │
//	│          stands at a ✂     │      │  orders 1, 2 ─────────────┘    └► database      │
//	│                            │      │      ▲                                          │
//	│ shoppers ──────────────────┼──────┼─► storefront                                    │
//	└────────────────────────────┘      └────────────────────────────────────────────────┘
//
// It is made to be hurt. Every part keeps its address and its data, may be killed, suspended and started again, and is
// started again by itself when it ends on its own, as a supervisor would: [Part.Falls] counts that.
//
// The programs are found in a directory; [Build] makes them from this module's sources, the broker's included, so that the
// version that is hurt is the version in go.mod.
package fleet
