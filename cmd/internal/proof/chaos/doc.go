// Package chaos injects faults into a shop under load: it kills and suspends processes, breaks and slows their connections to
// the broker and the database, and makes Stripe and the mail server fail in the ways that the real ones do.
//
// [Plan] makes the list of faults of a run. Each has a kind, a time, a target and a duration. The list depends only on the
// seed, the length of the run and whether the shop has a database of its own; the outcome of the run also depends on what the
// shop does at each of those times.
//
//	plan := chaos.Plan(seed, 10*time.Minute, true)
//	injector := chaos.NewInjector()
//	shop, err := fleet.Start(ctx, fleet.Config{Proxy: injector.Proxy, …})
//	err = injector.Run(ctx, shop, plan, started)  returns when every fault has ended and is undone
//	injector.Close()                              after the shop has stopped
//
// A fault has ended when its cause is gone: the process is started again, or the connection works as before. The caller
// measures how long the shop then takes to recover.
package chaos
