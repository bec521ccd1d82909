// Package coretest runs the core of the shop in a test: the real decide and act lanes of all four domains on a real log, without
// HTTP, database and mail, and with a fake Stripe that answers at once and posts webhooks.
//
//	shop := coretest.Open(t, coretest.Config{AutoPay: true})
//	shop.Stock(t, "MUG", 10)
//	shop.Run(t)                                       runs every domain
//	shop.Place(ctx, id, coretest.Line("MUG", 2))      as POST /api/orders does
//	shop.Settle(t)                                    waits until every lane has handled the whole log
//	shop.Verify(t)                                    checks the invariants, from the log alone
//
// The life of an order: placed ─► stock reserved ─► awaiting payment ─► payment intent ─► the shopper pays, Stripe posts a
// webhook ─► authorized ─► accepted ─► captured ─► confirmed ─► stock committed, mail queued. The mail is sent only with
// [Config.Mail].
//
// The tests run the core with several replicas, with redelivered, reordered and delayed events, and with wrong clocks. A model of
// the shop in memory, with the real decisions, is tested with random histories. BenchmarkSaga measures the speed of the core.
package coretest
