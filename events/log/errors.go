package log

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrUnavailable is returned when the log cannot be reached or takes no writes. What was being appended may or may
	// not have been stored: decide again on the state as it then is.
	ErrUnavailable = errors.New("the log is unavailable")
	// ErrNotFound is returned by Read when the entity has no events.
	ErrNotFound = errors.New("no such entity")
	// ErrUnreadable is returned when an entity's history holds something that this program cannot read, such as an
	// event of a newer version, or lacks an event. Nothing is decided on a state that leaves something out.
	ErrUnreadable = errors.New("unreadable history")
	// ErrTooLarge is returned when one transaction holds more than [MaxBatch] facts or one fact more than the broker takes.
	ErrTooLarge = errors.New("transaction too large")
	// ErrContention is returned by Do when another writer was faster every time.
	ErrContention = errors.New("too much contention on one entity")
	// ErrDrift is returned by Open when a stream is configured otherwise than the topology says.
	ErrDrift = errors.New("configuration drift")
	// ErrNoShop is returned by Open with Config.MustExist when the broker lacks the shop's streams.
	ErrNoShop = errors.New("this broker has no shop in it")
	// ErrNotOwner is returned when a domain appends under the prefix of another one.
	ErrNotOwner = errors.New("not the owner of this subject")
	// ErrNotAllowed is returned when the broker's permissions forbid what was tried. The process runs under the wrong user.
	ErrNotAllowed = errors.New("not allowed by the broker")

	// ErrUpgradeInProgress is returned by an append of an event that processes of an older release, which are running, do not know. It is
	// [ErrUnavailable] as well: when the last of them has stopped the event can be written.
	ErrUpgradeInProgress = errors.New("processes of an older release are running, which do not know this event")

	// ErrTruncated is returned when the broker has forgotten what it had acknowledged: an older copy of its store was put
	// back. Going on would use sequences a second time; the archive knows what is missing.
	ErrTruncated = errors.New("the log went back in time; stop everything, see what is missing with `ops repair`, and restore it with `ops repair --yes`")

	// errConflict: the subject has moved on since the transaction read it.
	errConflict = errors.New("conflict")
	// errRefused: the broker answered, and the answer is no; for this batch as it stands it will stay no.
	errRefused = errors.New("refused by the broker")
	// errNoRoom: the broker has no room for anything at all, so trying a part of a batch does not help.
	errNoRoom = errors.New("no room")
	// errNotSent: the message did not even leave.
	errNotSent = errors.New("not sent")
	// errNoAnswer: an earlier try may be stored yet.
	errNoAnswer = errors.New("no answer to an earlier try")
	// errBehind: the broker knows less than this process. It is cut off from the others.
	errBehind = errors.New("the broker is behind")
)

// Error codes of the JetStream API (nats-server/server/errors.json).
const (
	codeWrongLastSequence         = 10071
	codeWrongLastSequenceConstant = 10164
	codeBatchIncomplete           = 10176
	codeBatchDuplicate            = 10201
	codeBatchTooManyInflight      = 10210
	codeTooManyRequests           = 10167
	codeInsufficientResources     = 10023
	codeAccountResourcesExceeded  = 10002
	codeNoSuitablePeers           = 10005
	codeStreamStoreFailed         = 10077
	codeStorageResourcesExceeded  = 10047
)

// classify sorts the error of a publish: errConflict, errRefused and errNoRoom are answers and mean that nothing was
// stored; everything else leaves it open whether the batch was stored.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return errors.Join(errRefused, ErrTooLarge, err)
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case codeWrongLastSequence, codeWrongLastSequenceConstant, codeBatchDuplicate:
		return errConflict
	case codeBatchIncomplete, codeBatchTooManyInflight, codeTooManyRequests:
		return err
	case codeInsufficientResources, codeAccountResourcesExceeded, codeStreamStoreFailed, codeStorageResourcesExceeded:
		return errors.Join(errNoRoom, ErrUnavailable, err)
	}
	if api.Code >= 500 {
		return err
	}
	return errors.Join(errRefused, err)
}

// IsTemporary reports whether an error of the broker, or of the way to it, says "not now" rather than "no". Too few peers is
// what a cluster says whose other brokers are still on their way.
func IsTemporary(err error) bool {
	var refused *jetstream.APIError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errBehind) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrDisconnected) ||
		errors.As(err, &refused) && (refused.Code == 503 || refused.ErrorCode == codeNoSuitablePeers)
}
