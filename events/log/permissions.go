package log

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/nats-io/nats.go"
)

// denials makes a publish fail at once that the broker's permissions forbid: the broker answers such a publish only with
// an asynchronous error on the connection, so its writer would wait until patience ends.
type denials struct {
	mu       sync.Mutex
	waiting  map[string]bool // subjects in flight; nil: nothing is watched
	denied   chan struct{}   // closed when one of them is denied
	happened error
	early    map[string]error // subjects denied while nothing was watched: a batch is on its way while requests are gathered
}

func newDenials() *denials { return &denials{early: map[string]error{}} }

// watch returns a channel that is closed when a subject of the requests is denied, or has been since the last watch. Only
// one watch exists at a time.
func (d *denials) watch(requests []*request) (denied <-chan struct{}, stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	early := d.early
	d.waiting, d.early, d.denied, d.happened = map[string]bool{}, map[string]error{}, make(chan struct{}), nil
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

func (d *denials) reason() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.happened
}

// deniedPublish finds the subject in the broker's words (nats-server/server/client.go, pubPermissionViolation).
var deniedPublish = regexp.MustCompile(`Publish to "([^"]+)"`)

// handle takes an asynchronous error of the connection.
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
	if d.happened == nil {
		d.happened = fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrNotAllowed, err)
		close(d.denied)
	}
}

// listen has the connection's errors handled, and then by the handler that was there before.
func (d *denials) listen(conn *nats.Conn) {
	before := conn.ErrorHandler()
	conn.SetErrorHandler(func(c *nats.Conn, sub *nats.Subscription, err error) {
		d.handle(err)
		if before != nil {
			before(c, sub, err)
		}
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
