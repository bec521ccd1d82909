package log

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"

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

	// ErrNeedsRepair is returned when the log lacks events that the archive has. The process works with the archive's copies.
	ErrNeedsRepair = errors.New("the log is damaged")

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
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errBehind) ||
		errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
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

// denials ends the wait for a publish that the broker's permissions forbid. The broker reports such a publish only as an
// asynchronous error of the connection, so without denials the writer would wait until Config.Patience ends.
type denials struct {
	mu      sync.Mutex
	waiting map[string]bool // subjects in flight; nil while nothing is watched
	denied  chan struct{}   // closed when one of them is denied
	reason  error
	early   map[string]error // subjects denied while nothing was watched: a batch is sent while it still gathers requests
}

func newDenials() *denials { return &denials{early: map[string]error{}} }

// watch returns a channel that is closed when a subject of the requests is denied, or was denied since the last watch. Only
// one watch may exist at a time.
func (d *denials) watch(requests []*request) (denied <-chan struct{}, stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	early := d.early
	d.waiting, d.early, d.denied, d.reason = map[string]bool{}, map[string]error{}, make(chan struct{}), nil
	for _, r := range requests {
		for _, m := range r.messages {
			d.waiting[m.Subject] = true
			if err := early[m.Subject]; err != nil {
				d.deny(err)
			}
		}
	}
	return d.denied, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.waiting = nil
	}
}

// err returns the reason of the denial, nil when there was none.
func (d *denials) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reason
}

// deniedPublish matches the subject in the broker's message (nats-server/server/client.go, pubPermissionViolation).
var deniedPublish = regexp.MustCompile(`Publish to "([^"]+)"`)

// handle records an asynchronous error of the connection.
func (d *denials) handle(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	found := deniedPublish.FindStringSubmatch(err.Error())
	if found == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch subject := found[1]; {
	case d.waiting[subject]:
		d.deny(err)
	case d.waiting == nil && len(d.early) < MaxBatch:
		d.early[subject] = err
	}
}

func (d *denials) deny(err error) {
	if d.reason == nil {
		d.reason = fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrNotAllowed, err)
		close(d.denied)
	}
}

// listen handles the connection's asynchronous errors, and then calls the handler that was set before.
func (d *denials) listen(conn *nats.Conn) {
	before := conn.ErrorHandler()
	conn.SetErrorHandler(func(c *nats.Conn, sub *nats.Subscription, err error) {
		d.handle(err)
		if before != nil {
			before(c, sub, err)
		}
	})
}

// damage holds the gaps that readers of this process found in the log and could not fill from the archive, and the events
// that a newer release wrote.
type damage struct {
	mu    sync.Mutex
	gaps  map[string]*GapError // by reader
	newer map[uint64]error     // by sequence
}

// ReportReader records the state of a reader: err is nil, or the reason why the reader has stopped. While a reader has
// stopped at a [GapError] this process appends nothing, because decisions would be made without the missing events.
func (l *core) ReportReader(reader string, err error) {
	var gap *GapError
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	if errors.As(err, &gap) {
		l.damage.gaps[reader] = gap
	} else {
		delete(l.damage.gaps, reader)
	}
}

// ReportNewer records a message that a newer release wrote, and returns [events.ErrNewer] for it; nil for any other message.
// This process then appends nothing until the event is declared void, because decisions would be made without that event.
func (l *core) ReportNewer(m Message) error {
	newer := m.Newer()
	if newer == nil {
		return nil
	}
	newer = fmt.Errorf("event %d: %w; run the release that wrote it, or a newer one; if there is none: ops void %[1]d", m.Sequence, newer)
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	if l.Voided(m.Sequence) { // declared void meanwhile: an entry made now would never be removed
		return nil
	}
	if l.damage.newer == nil {
		l.damage.newer = map[uint64]error{}
	}
	l.damage.newer[m.Sequence] = newer
	return newer
}

// Newer returns [events.ErrNewer] when this process has read an event that a newer release wrote and that is not void.
func (l *core) Newer() error {
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	for _, err := range l.damage.newer {
		return err
	}
	return nil
}

func (d *damage) removeNewer(sequence uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.newer, sequence)
}

// Damage returns [ErrUnavailable] with the gap at which a reader has stopped, or with an event that this program cannot read;
// nil when there is neither. The error does not unwrap to [GapError] or [events.ErrNewer]: callers take those for the error
// of a reader that has stopped, and Damage also stops lanes whose own reader can continue.
func (l *core) Damage() error {
	if err := l.Newer(); err != nil {
		return fmt.Errorf("%w: %v", ErrUnavailable, err) //nolint:errorlint // see above
	}
	if err := l.Gaps(); err != nil {
		return fmt.Errorf("%w: %v", ErrUnavailable, err) //nolint:errorlint // see above
	}
	return nil
}

// Gaps returns a [GapError] that names every gap that the archive cannot fill; nil when there are none.
func (l *core) Gaps() error {
	l.damage.mu.Lock()
	defer l.damage.mu.Unlock()
	gaps := l.damage.distinct()
	switch len(gaps) {
	case 0:
		return nil
	case 1:
		return &gaps[0]
	}
	return fmt.Errorf("%w; in all, %s missing", &gaps[0], describe(gaps))
}

// distinct returns the gaps in order, each once: several readers may have stopped at one.
func (d *damage) distinct() (gaps []GapError) {
	for _, gap := range d.gaps {
		gaps = append(gaps, *gap)
	}
	slices.SortFunc(gaps, func(a, b GapError) int { return cmp.Compare(a.From, b.From) })
	return slices.CompactFunc(gaps, func(a, b GapError) bool { return a.From == b.From })
}

// missing returns how many messages are missing in the gaps.
func (d *damage) missing() (n float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, gap := range d.distinct() {
		n += float64(gap.To - gap.From + 1)
	}
	return n
}
