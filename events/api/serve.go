package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Time limits of a server. There is none on writing, because event streams stay open; slow readers are the proxy's.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// Listen opens an address. A taken one is an error that says so and what to do.
func Listen(what, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open %s on %s: %w (is another one running? choose another address, port 0 takes any free one)", what, address, err)
	}
	return listener, nil
}

// Serve answers on a listener until ctx ends, then lets running requests finish for grace, and closes what is left
// (event streams have no end of their own).
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, grace time.Duration) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	var waiting newcomers
	server := &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, BaseContext: func(net.Listener) context.Context { return requests }, ConnState: waiting.track}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	time.AfterFunc(grace/2, endRequests)
	waiting.dismiss()
	if err := server.Shutdown(stopping); err != nil {
		if err := server.Close(); err != nil {
			return fmt.Errorf("close server on %s: %w", listener.Addr(), err)
		}
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	}
	return nil
}

// newcomers are connections on which nothing was asked yet. Clients open some that they never use, and Shutdown gives
// each of them five seconds to say something.
type newcomers struct {
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	stopping bool
}

func (n *newcomers) track(conn net.Conn, state http.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(n.conns, conn)
	case n.stopping:
		_ = conn.Close() // nothing was promised on it
	case n.conns == nil:
		n.conns = map[net.Conn]struct{}{conn: {}}
	default:
		n.conns[conn] = struct{}{}
	}
}

// dismiss closes them, and those that come from now on.
func (n *newcomers) dismiss() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopping = true
	for conn := range n.conns {
		_ = conn.Close() // nothing was promised on it
	}
}
