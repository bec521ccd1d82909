// Package chaos injects faults into a shop under load: it kills and suspends processes, breaks and slows their connections to
// the broker and the database, and makes Stripe and the mail server fail in the ways that the real ones do.
//
// The faults of a run are a list made from a seed alone. Each has a kind, a time, a target and a duration. The same seed gives
// the same list; the outcome also depends on what the shop does at each of those times.
//
//	plan := chaos.Plan(seed, 10*time.Minute, true)
//	hand := chaos.NewHand()
//	shop, err := fleet.Start(ctx, fleet.Config{Between: hand.Between, Outside: hand.Outside(), …})
//	err = hand.Run(ctx, shop, plan, started)      returns when every fault has ended and is undone
//
// A fault has ended when its cause is gone: the process is started again, the connection is clean. How long the shop then
// needs to recover is for the caller to measure.
package chaos
