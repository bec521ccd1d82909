// Package process is the life of a program: its settings, logging and signals, its connection to the broker, the lanes of
// its domains, its health, and the order in which all of it stops.
//
// A worker's main is one call of [Main]:
//
//	settings ──► signals, logger ──► listen ──► broker ──► log ──► database ──► domain ──► [Host]
//	                                                                                          │ lanes, projections, archive
//	first signal ──► HTTP requests and lanes finish what they have begun ──► connections close ◄──┘
//
// A program that runs several domains in one process, such as cmd/shop, builds a [Host] itself.
package process
