// Package redelivery shows that a shop is the same after lanes have handled its whole history again, although it went on selling.
//
//	before, err := redelivery.Take(ctx, shop)          waits until every lane has handled the log
//	…                                                  a replay of everything, and live orders
//	result, err := before.Compare(ctx)
//
// What is compared: the states of all entities and the documents of the projections, as one hash each, and the events that were
// appended in between. An event belongs to a live order when its correlation id is new. What the live orders have changed, such as
// the stock of the items that they bought, is left out of both hashes.
package redelivery
