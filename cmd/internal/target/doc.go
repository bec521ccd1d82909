// Package target finds a running shop for a tool and connects to it.
//
// A shop that runs in one process writes its addresses to a ready file. The addresses of a shop in several processes come
// from flags or environment variables, one per address. A tool embeds [Target] in its flags, calls [Target.Resolve], and
// opens what it needs of the [Shop]:
//
//	flags, environment ─┐
//	ready file ─────────┴─ Resolve ─► Shop ─┬─ Log       the log, for reading
//	                                        ├─ Database  projections and archive
//	                                        ├─ Secrets   of a shop in one process
//	                                        └─ addresses of the storefront, mailbox, Stripe, staff API
//
// The package changes nothing in the shop: a broker without the shop's streams is an error, and no streams are created. The
// exceptions are [Shop.MakeLog] and [Shop.KeepSecrets], which a restore of a backup needs.
package target

import "errors"

var (
	// ErrNoShop is returned when neither a ready file nor an address is given.
	ErrNoShop = errors.New("no shop given: start one with `go run ./cmd/shop --ready-file shop.json` and pass --shop shop.json")
	// ErrReadyFile is returned when the ready file cannot be read or contains no address.
	ErrReadyFile = errors.New("cannot use ready file")
	// ErrUnknownAddress is returned when a tool needs an address that is not given.
	ErrUnknownAddress = errors.New("address not given")
	// ErrUnreachable is returned when no server answers at an address.
	ErrUnreachable = errors.New("no answer")
	// ErrOtherSecrets is returned when a data directory already contains different secrets.
	ErrOtherSecrets = errors.New("the data directory has other secrets already")
)
