// Package crashtest hurts the shop's real programs at every failpoint that there is, and sees whether it keeps its promises.
// It is all tests. What package failpoint can name is hurt twice, by SIGKILL and by SIGSTOP for twice as long as a standby
// waits, in each of two worlds:
//
//	single   cmd/shop: broker, database, Stripe sandbox and mailbox die with it
//	fleet    a broker, two replicas of each worker and two storefronts, each a process of its own
//
// One round: a trap is laid for all processes, or for those of one program, and shoppers come until one of them has got
// there: some pay, one's card is declined, one leaves without paying. The hurt process is started again, or woken; what it
// had in hand is its standby's as soon as its leases run out, or its own if there is no standby. Then everybody who was
// answered 201 must see the end of their order, a new shopper must be served, and the invariant checker must have nothing
// to object to. A point that nobody gets to is a failure too: what is not reached is not tested.
//
//	go test ./cmd/internal/proof/crashtest                                  a sample; the seed is printed
//	go test ./cmd/internal/proof/crashtest -run TestSweep -sweep.all -timeout 60m -v
//	go test ./cmd/internal/proof/crashtest -run TestSweep -sweep.point append.stored/orders -sweep.seed 7 -v
//
// A failure says which command repeats it. The whole sweep takes a quarter of an hour on two cores, for most of the time
// it waits; -parallel says how many worlds are hurt at a time.
//
// The rows of the fault matrix that are about dying at one certain moment have tests of their own beside the sweep.
package crashtest
