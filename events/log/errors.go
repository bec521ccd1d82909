package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrUnavailable is returned when the log cannot be reached or accepts no writes. The append may or may not have been
	// stored: read the state and decide again.
	ErrUnavailable = errors.New("the log is unavailable")
	// ErrNotFound is returned by Read when the entity has no events.
	ErrNotFound = errors.New("no such entity")
	// ErrUnreadable is returned when an entity's history lacks an event, or holds one that this program cannot read, such
	// as an event of a newer version. Nothing is decided on an incomplete state.
	ErrUnreadable = errors.New("unreadable history")
	// ErrTooLarge is returned when a transaction holds more than [MaxBatch] events, or an event larger than the broker accepts.
	ErrTooLarge = errors.New("transaction too large")
	// ErrContention is returned by Do when another writer was faster at every attempt.
	ErrContention = errors.New("too much contention on one entity")
	// ErrDrift is returned by Open when a stream's configuration contradicts the topology.
	ErrDrift = errors.New("configuration drift")
	// ErrNoShop is returned by Open with Config.MustExist when the broker lacks the shop's streams.
	ErrNoShop = errors.New("no shop on this broker")
	// ErrNotOwner is returned when a domain appends under the prefix of another domain.
	ErrNotOwner = errors.New("not the owner of this subject")
	// ErrNotAllowed is returned when the broker's permissions forbid an operation. The process runs under the wrong user.
	ErrNotAllowed = errors.New("not allowed by the broker")
	// ErrCheckpointConflict is returned when another process has written a lane's checkpoint or taken its lease.
	ErrCheckpointConflict = errors.New("another process runs this lane")
	// ErrUpgradeInProgress is returned by an append of an event that a running process of an older release does not know.
	// The error is [ErrUnavailable] as well: the event can be written once the last such process has stopped.
	ErrUpgradeInProgress = errors.New("a running process of an older release does not know this event")
	// ErrTruncated is returned when the broker has lost messages that it had acknowledged, because an older copy of its
	// store was restored. Further appends would use sequences a second time; the archive has the lost events.
	ErrTruncated = errors.New("the log was truncated; stop all processes, list the lost events with `ops repair` and restore them with `ops repair --yes`")

	errConflict = errors.New("conflict")                         // the entity has newer events than the transaction read
	errRefused  = errors.New("refused by the broker")            // the same batch would be refused again
	errNoRoom   = errors.New("no room")                          // the broker is full; a part of the batch would be refused too
	errNotSent  = errors.New("not sent")                         // the message did not leave this process
	errNoAnswer = errors.New("no answer to an earlier try")      // an earlier try may still be stored
	errBehind   = errors.New("the broker is behind the cluster") // the broker has fewer messages than this process has seen
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

// classify maps the error of a publish. errConflict, errRefused and errNoRoom are answers: nothing was stored. After any
// other error the batch may have been stored.
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

// IsTemporary reports whether an error of the broker or the connection can disappear by itself. A starting cluster reports
// too few peers until its other servers have joined.
func IsTemporary(err error) bool {
	var refused *jetstream.APIError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errBehind) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrDisconnected) ||
		errors.As(err, &refused) && (refused.Code == 503 || refused.ErrorCode == codeNoSuitablePeers)
}

// IsConflict reports whether Commit was refused because an entity has newer events than the transaction read.
func IsConflict(err error) bool { return errors.Is(err, errConflict) }

func isNotFound(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) }

// unavailable marks an error of the broker or the connection as [ErrUnavailable]. The caller's own cancellation is returned as it is.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
