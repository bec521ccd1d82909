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

// Limits of a server. A request has arrived completely within readTimeout, on whichever route; [Wrap] limits the time to send the
// answer, part by part, because event streams stay open.
const (
	readTimeout    = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 32 << 10
)

// Listen opens a TCP address for a server. The error names the server and suggests what to do about an address in use.
func Listen(server, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open %s on %s: %w (is another one running? choose another address, port 0 takes any free one)", server, address, err)
	}
	return listener, nil
}

// Serve serves requests on a listener until ctx ends. Running requests then have the time grace to finish; their contexts end
// after half of it, because event streams do not end by themselves. After grace the remaining connections are closed.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, grace time.Duration) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	var unused unusedConns
	server := &http.Server{Handler: handler, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, BaseContext: func(net.Listener) context.Context { return requests }, ConnState: unused.track}
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
	unused.close()
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

// unusedConns are connections that have sent no request. Clients open connections that they never use, and Shutdown would wait
// five seconds for a request on each.
type unusedConns struct {
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	stopping bool
}

func (u *unusedConns) track(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, conn)
	case u.stopping:
		_ = conn.Close() // it has no request
	case u.conns == nil:
		u.conns = map[net.Conn]struct{}{conn: {}}
	default:
		u.conns[conn] = struct{}{}
	}
}

// close closes the unused connections, and those that are opened later.
func (u *unusedConns) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopping = true
	for conn := range u.conns {
		_ = conn.Close() // it has no request
	}
}
