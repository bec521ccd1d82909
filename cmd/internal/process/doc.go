// Package process runs the programs of the shop: it parses settings, sets up logging and signals, connects to the broker and
// the database, runs the lanes of the domains, serves their APIs, health checks and metrics, and stops all of it in order.
//
// A worker's main is one call of [Main]:
//
//	settings ──► signals, logger ──► listen ──► broker ──► log ──► database ──► domain ──► [Host]
//	                                                                                          │ lanes, projections, archive
//	first signal ──► HTTP requests and lanes finish what they have begun ──► connections close ◄──┘
//
// [Main] returns when the process has stopped. A second signal exits at once; the next start repeats unfinished work.
//
// A program that runs several domains in one process, such as cmd/shop, builds a [Host] itself.
package process
