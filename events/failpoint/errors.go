package failpoint

import "errors"

var (
	// ErrBadTrigger is returned when a trap cannot be read.
	ErrBadTrigger = errors.New("not a trap")
	// ErrUnknownPoint is returned when a trap names a point that no code passes.
	ErrUnknownPoint = errors.New("no such failpoint")
	// ErrUnsupported is returned when a system cannot let a process stand still.
	ErrUnsupported = errors.New("not supported on this system")
)
