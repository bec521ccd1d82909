package replay

import (
	"errors"

	"tillstream/events/log"
)

// ErrNoShop is returned by Open when the broker lacks the shop's streams.
var ErrNoShop = log.ErrNoShop

var (
	// ErrNotFound is returned when nothing in the log goes by that id, number or sequence.
	ErrNotFound = errors.New("not in the log")
	// ErrAtWork is returned by Repair when the log has to be restored and processes of the shop are at work on it.
	ErrAtWork = errors.New("stop the shop first, or start it with --closed: processes are at work")
	// ErrGrew is returned by Repair when another process, a second repair perhaps, has appended to what it was about to
	// restore.
	ErrGrew = errors.New("the log has grown since it was compared with its archive; run it again")
	// ErrSettled is returned when a dead letter was redriven or discarded already.
	ErrSettled = errors.New("settled already")
	// ErrUnknownLane is returned when no lane goes by a name.
	ErrUnknownLane = errors.New("no lane")
	// ErrInterrupted is returned when the connection to the broker was lost for good while reading.
	ErrInterrupted = errors.New("the broker went away and did not come back; start this again when it has")
)
