package replay

import (
	"errors"

	eventlog "tillstream/events/log"
)

// ErrNoShop is returned by [Open] when the broker lacks the streams of a shop.
var ErrNoShop = eventlog.ErrNoShop

var (
	// ErrNotFound is returned when the log has nothing with that id, number or sequence.
	ErrNotFound = errors.New("not in the log")
	// ErrRunning is returned by Repair and Restore when processes of the shop hold leases on a log that would be written.
	ErrRunning = errors.New("stop the shop first, or start it with --closed: processes are running")
	// ErrConcurrentAppend is returned by Repair and Restore when another process, such as a second repair, has appended to the log.
	ErrConcurrentAppend = errors.New("the log has grown since it was compared; run this again")
	// ErrDifferent is returned by Repair when it would have to choose between two contents of one event.
	ErrDifferent = errors.New("log and archive have the same event with different contents; nothing was deleted, see \"The log has a gap\" in the runbook")
	// ErrNotEmpty is returned by Restore when the broker or the database contains data.
	ErrNotEmpty = errors.New("restore needs an empty broker and an empty database: start a shop with --closed and --data NEW_DIRECTORY")
	// ErrOtherBackup is returned by Restore when the log is not the beginning of this backup, for example after an interrupted
	// restore of another one.
	ErrOtherBackup = errors.New("the log is not the beginning of this backup: give broker and database empty stores and run ops restore again")
	// ErrIncomplete is returned by Backup when both the log and the archive lack a message.
	ErrIncomplete = errors.New("both the log and the archive lack them; ops repair lists everything that is missing")
	// ErrSettled is returned when a dead letter was already redriven or discarded.
	ErrSettled = errors.New("already settled")
	// ErrBadMoment is returned for text that names no moment.
	ErrBadMoment = errors.New("want a sequence, a time such as 2026-11-30T12:00:00Z, a date, \"2026-11-30 12:00\", \"yesterday 12:00\", now, or a time before now such as -2h or \"2h ago\"; got")
	// ErrExists is returned by WriteState when its directory exists.
	ErrExists = errors.New("it exists already: name a new directory")
	// ErrUnknownLane is returned when no lane has that name.
	ErrUnknownLane = errors.New("no lane")
	// ErrInterrupted is returned when the connection to the broker is lost permanently during a read.
	ErrInterrupted = errors.New("the connection to the broker was lost; run this again when the broker is available")

	errVoid = errors.New("it was declared void")
)
