// Package crashtest kills or suspends the shop's real programs at every failpoint, and checks that the shop keeps its promises.
// It contains only tests. Each failpoint is triggered twice, with SIGKILL and with SIGSTOP for twice as long as a standby
// waits, in each of two deployments:
//
//	single   cmd/shop: broker, database, Stripe sandbox and mailbox die with it
//	fleet    a broker, two replicas of each worker and two storefronts, each a process of its own
//
// One round: a failpoint is armed in all processes, or in those of one program, and shoppers are added until a process, the
// victim, reaches it. Some shoppers pay, one has a declined card, one leaves without paying. When the leases of the victim
// expire, its standby takes over. The victim is restarted or resumed. Then every order that was answered 201 must reach its
// final status, a new shopper must be served, and every invariant must hold. A failpoint that no process reaches is a test
// failure, because it was not tested.
//
//	go test ./cmd/internal/proof/crashtest                                  a sample; the seed is printed
//	go test ./cmd/internal/proof/crashtest -run TestSweep -sweep.all -timeout 60m -v
//	go test ./cmd/internal/proof/crashtest -run TestSweep -sweep.point append.stored/orders -sweep.seed 7 -v
//
// A failure prints the command that repeats it. The whole sweep takes a quarter of an hour on two cores, most of it waiting;
// -parallel sets the number of concurrent deployments.
//
// Rows of the fault matrix (deploy/RELIABILITY.md) about a crash at one particular point have tests of their own.
package crashtest
