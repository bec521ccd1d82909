package cpu

import "errors"

var (
	// ErrNoProfiles is returned when a shop serves no profiles.
	ErrNoProfiles = errors.New("the shop serves no profiles: start it with --pprof")
	// ErrTooShort is returned when no order was confirmed while a profile was taken.
	ErrTooShort = errors.New("no order was confirmed while profiles were taken: buy more")
)
