package log

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/nats-io/nats.go"
)

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
