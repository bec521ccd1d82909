package replay

import "errors"

var (
	// ErrNoShop is returned by Open when the broker lacks the shop's streams.
	ErrNoShop = errors.New("this broker has no shop in it")
	// ErrNotFound is returned when nothing in the log goes by that id, number or sequence.
	ErrNotFound = errors.New("not in the log")
	// ErrAtWork is returned by Repair when the log has to be restored and processes of the shop are at work on it.
	ErrAtWork = errors.New("stop the shop first, or start it with --closed: somebody is at work")
	// ErrGrew is returned by Repair when somebody has appended, another repair perhaps, to what it was about to restore.
	ErrGrew = errors.New("the log has grown since it was compared with its archive; run it again")
	// ErrUnknownWorker is returned when no durable consumer goes by a name.
	ErrUnknownWorker = errors.New("no worker")
	// ErrInterrupted is returned when the connection to the broker was lost for good while reading.
	ErrInterrupted = errors.New("the broker went away and did not come back; start this again when it has")
)
