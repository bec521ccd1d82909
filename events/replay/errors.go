package replay

import (
	"errors"

	eventlog "tillstream/events/log"
)

// ErrNoShop is returned by Open when the broker lacks the shop's streams.
var ErrNoShop = eventlog.ErrNoShop

var (
	// ErrNotFound is returned when nothing in the log goes by that id, number or sequence.
	ErrNotFound = errors.New("not in the log")
	// ErrRunning is returned by Repair and Restore when processes of the shop are at work on a log that is to be put back.
	ErrRunning = errors.New("stop the shop first, or start it with --closed: processes are at work")
	// ErrConcurrentAppend is returned by Repair and Restore when another process, a second repair perhaps, has appended to what it was
	// about to put back.
	ErrConcurrentAppend = errors.New("the log has grown since it was looked at; run it again")
	// ErrNotEmpty is returned by Restore when broker or database hold something.
	ErrNotEmpty = errors.New("a backup is restored only into an empty broker and an empty database, as a shop has that is started with --closed and --data NEW_DIRECTORY")
	// ErrOtherBackup is returned by Restore when a restore of another backup was cut off there, or the log is not the beginning
	// of this one.
	ErrOtherBackup = errors.New("this is not the beginning of the backup: give broker and database empty stores and run ops restore again")
	// ErrIncomplete is returned by Backup when neither the log nor the archive has a message.
	ErrIncomplete = errors.New("neither the log nor the archive has them; ops repair names all that is missing")
	// errVoid is why an event says nothing.
	errVoid = errors.New("it was declared void")
	// ErrSettled is returned when a dead letter was redriven or discarded already.
	ErrSettled = errors.New("settled already")
	// ErrUnknownLane is returned when no lane goes by a name.
	ErrUnknownLane = errors.New("no lane")
	// ErrInterrupted is returned when the connection to the broker was lost for good while reading.
	ErrInterrupted = errors.New("the broker went away and did not come back; start this again when it has")
)
