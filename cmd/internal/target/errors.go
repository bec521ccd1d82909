package target

import "errors"

var (
	// ErrNoShop is returned when neither a ready file nor an address says where the shop is.
	ErrNoShop = errors.New("no shop given: start one with `go run ./cmd/shop --ready-file shop.json` and pass --shop shop.json")
	// ErrReadyFile is returned when the ready file cannot be read or says nothing.
	ErrReadyFile = errors.New("cannot use ready file")
	// ErrUnknownAddress is returned when a tool needs a part of the shop whose address was not given.
	ErrUnknownAddress = errors.New("address not given")
	// ErrUnreachable is returned when nothing answers at an address.
	ErrUnreachable = errors.New("nothing answers")
	// ErrOtherSecrets is returned when a data directory holds other secrets than those that are to be put there.
	ErrOtherSecrets = errors.New("the shop has other secrets already")
)
