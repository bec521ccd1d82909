package storefront

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	cooldown  = 2 * time.Second // how long a replica is tried last after a failure
	maxReplay = 256 << 10       // largest body that is kept for a retry: four times the API's own limit
)

// replicas is a RoundTripper over several processes of one domain. It takes them in turn. A replica that could not be
// reached is tried last for a while, so that a killed process costs a failed dial every two seconds, not one per request.
type replicas struct {
	next    http.RoundTripper
	now     func() time.Time
	turn    atomic.Uint64
	targets []*replica
}

type replica struct {
	scheme, host string
	lastUntil    atomic.Int64 // unix nanoseconds
}

func newReplicas(list string, next http.RoundTripper, now func() time.Time) (*replicas, error) {
	addresses, err := splitAddresses(list)
	if err != nil {
		return nil, err
	}
	group := &replicas{next: next, now: now}
	for _, address := range addresses {
		scheme, host, _ := strings.Cut(address, "://")
		group.targets = append(group.targets, &replica{scheme: scheme, host: host})
	}
	return group, nil
}

// order returns the order in which to try the replicas for the next request, those that failed recently last.
func (g *replicas) order() []*replica {
	now, start := g.now().UnixNano(), int(g.turn.Add(1)%uint64(len(g.targets)))
	first := make([]*replica, 0, len(g.targets))
	var last []*replica
	for i := range g.targets {
		target := g.targets[(start+i)%len(g.targets)]
		if target.lastUntil.Load() > now {
			last = append(last, target)
		} else {
			first = append(first, target)
		}
	}
	return append(first, last...)
}

// RoundTrip sends the request to the first replica that answers. It tries the next one only when the request cannot have
// had an effect (the dial failed) or may be repeated (reads, and writes with an Idempotency-Key).
func (g *replicas) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := newResendable(request)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, target := range g.order() {
		attempt := request.Clone(request.Context())
		attempt.URL.Scheme, attempt.URL.Host, attempt.Host = target.scheme, target.host, target.host
		attempt.Body = body.open()
		answer, err := g.next.RoundTrip(attempt)
		if err == nil {
			return answer, nil
		}
		failures = append(failures, fmt.Errorf("send to %s: %w", target.host, err))
		if request.Context().Err() != nil {
			break
		}
		target.lastUntil.Store(g.now().Add(cooldown).UnixNano())
		if !body.mayRetry(err) {
			break
		}
	}
	return nil, errors.Join(failures...)
}

// errSlowBody is returned when a client does not send the body of its request in time.
var errSlowBody = errors.New("the body did not arrive in time")

// resendable is the body of a request, and whether the request may be sent again.
type resendable struct {
	repeatable bool   // the request may be handled twice
	kept       []byte // the whole body, if it was read ahead
	stream     *watchedBody
}

// newResendable reads the body of a request with an Idempotency-Key ahead, so that the request can be repeated even after
// part of it was sent.
func newResendable(request *http.Request) (*resendable, error) {
	read := request.Method == http.MethodGet || request.Method == http.MethodHead || request.Method == http.MethodOptions
	keyed := request.Header.Get("Idempotency-Key") != ""
	if request.Body == nil || request.Body == http.NoBody {
		return &resendable{repeatable: read || keyed}, nil
	}
	if keyed && request.ContentLength >= 0 && request.ContentLength <= maxReplay {
		kept, err := io.ReadAll(&watchedBody{from: request.Body})
		if err != nil {
			return nil, fmt.Errorf("read request body: %w", err)
		}
		return &resendable{repeatable: true, kept: kept}, nil
	}
	return &resendable{stream: &watchedBody{from: request.Body}}, nil
}

func (b *resendable) open() io.ReadCloser {
	switch {
	case b.stream != nil:
		return b.stream
	case b.kept != nil:
		return io.NopCloser(bytes.NewReader(b.kept))
	}
	return http.NoBody
}

// mayRetry reports whether the request may be sent again after a failure. A refused or timed out dial has sent nothing.
func (b *resendable) mayRetry(failure error) bool {
	if b.stream != nil && b.stream.started.Load() {
		return false
	}
	var network *net.OpError
	unsent := errors.As(failure, &network) && network.Op == "dial"
	return unsent || b.repeatable
}

// watchedBody records whether reading has begun. Close does nothing: the transport closes the body after a failed attempt,
// and the next attempt needs it. The server closes the real body at the end of the request.
type watchedBody struct {
	from    io.Reader
	started atomic.Bool
}

func (b *watchedBody) Read(into []byte) (int, error) {
	b.started.Store(true)
	n, err := b.from.Read(into)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSlowBody
	}
	return n, err
}

func (b *watchedBody) Close() error { return nil }
