// Package fleet runs a whole shop on one machine as it runs in production: a broker, a database, two replicas of each worker,
// a storefront and the staff console, each a process of its own. The services outside the shop, a Stripe sandbox and a mail inbox, run in the
// calling process.
//
//	┌ calling process ───────────┐      ┌ processes ─────────────────────────────────────┐
//	│ Outside: Stripe sandbox   ◄┼──────┼─ payments 1, 2 ───────────┐                     │
//	│          mail inbox       ◄┼──────┼─ notifications 1, 2 ──────┤    ┌► broker        │
//	│ proxies: in place of the   │      │  inventory 1, 2 ──────────┼─✂──┤                │
//	│          connections at ✂  │      │  orders 1, 2 ─────────────┘    └► database      │
//	│                            │      │      ▲                                          │
//	│ shoppers ──────────────────┼──────┼─► storefront                                    │
//	│ staff ─────────────────────┼──────┼─► console ──► orders 1, 2 …, broker, database   │
//	└────────────────────────────┘      └────────────────────────────────────────────────┘
//
// A fleet is made for fault injection. Each [Service] keeps its address and its data, and can be killed, suspended and
// restarted. A service that exits by itself is restarted, as a supervisor does, and counted as a crash.
//
// Config.Programs is the directory of the programs. Usually [proc.Build] builds them there from [Packages], which include the
// broker in the version that go.mod names.
package fleet
