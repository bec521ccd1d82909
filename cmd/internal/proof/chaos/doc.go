// Package chaos hurts a shop while people shop in it: it kills and suspends its processes, breaks and slows what connects
// them, and has Stripe and the mail server behave as badly as they sometimes do.
//
// What will happen is a [Plan]: a list of faults, each with its moment, its victim and how long it lasts, made from a seed
// alone. The same seed gives the same plan; what comes of it also depends on where the shop happens to be at each moment.
//
//	plan := chaos.Plan(seed, 10*time.Minute)
//	hand := chaos.NewHand()
//	shop, err := fleet.Start(ctx, fleet.Config{Between: hand.Between, Outside: hand.Outside(), …})
//	err = hand.Run(ctx, shop, plan, told)      returns when every fault is over and everything is mended
//
// A fault is over when what it did is undone: the process started again, the connection clean. What the shop needs to
// recover from it after that is what a soak measures.
package chaos
