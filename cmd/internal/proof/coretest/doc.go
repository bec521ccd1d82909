// Package coretest is the whole shop without its edges: the real deciders and actors of all four domains on a real log, with
// neither HTTP nor a database, and a bank that answers at once.
//
//	shop := saga.Open(t, saga.Config{Paying: true})
//	shop.Stock(t, "MUG", 10)
//	shop.Run(t)                                       every domain, as a process of its own would
//	shop.Place(ctx, id, saga.Line("MUG", 2))          as POST /api/orders would
//	shop.Settle(t)                                    every consumer has handled all there is
//	shop.Verify(t)                                    the invariants, from the log alone
//
// An order goes: placed ─► held ─► awaiting payment ─► intent ─► the shopper pays, the bank's webhook is noted ─►
// authorized ─► accepted ─► captured ─► confirmed ─► the stock is sold, the mail is queued. The mail is not sent.
//
// It is where the core is measured (BenchmarkSaga) and where it is tried with everything that the log may do to it:
// replicas, redelivery, disorder, a backlog, a clock that is wrong.
package coretest
