package logtest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// dialTimeout bounds the connection to a target on loopback.
const dialTimeout = 10 * time.Second

// Proxy is a TCP proxy that a test can interrupt. Held data arrives after Release, as when TCP retransmits after a network
// partition. Held data is lost after Reset, as when a machine dies.
type Proxy struct {
	target   string
	listener net.Listener
	up, down gate // to the target, and back

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	refuses bool // accepts no connections
	running sync.WaitGroup
}

// NewProxy listens on a free loopback port and forwards to a target until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, listener: listener, conns: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close() // its only effect is that accept returns
		p.Refuse()
		p.Release()
		p.running.Wait()
	})
	return p
}

// Addr returns the address to connect to instead of the target.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Hold stops all data in both directions. Connections stay open and new ones are accepted.
func (p *Proxy) Hold() { p.up.close(); p.down.close() }

// HoldAnswers stops the data to clients and forwards the data from them.
func (p *Proxy) HoldAnswers() { p.down.close() }

// Holding reports whether data from a client is held.
func (p *Proxy) Holding() bool { return p.up.waiting.Load() > 0 }

// Release accepts connections and forwards all data again, held data first.
func (p *Proxy) Release() {
	p.mu.Lock()
	p.refuses = false
	p.mu.Unlock()
	p.up.open()
	p.down.open()
}

// Reset closes all connections. Held data is lost.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close() // its data is lost on purpose
	}
}

// Refuse closes all connections and accepts no new ones until Release.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	p.refuses = true
	p.mu.Unlock()
	p.Reset()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // the test has ended
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return // the target is down
	}
	defer server.Close()
	if !p.enter(client, server) {
		return
	}
	defer p.leave(client, server)
	var directions sync.WaitGroup
	directions.Go(func() { forward(server, client, &p.up) })
	directions.Go(func() { forward(client, server, &p.down) })
	directions.Wait()
}

func (p *Proxy) enter(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses {
		return false
	}
	for _, conn := range conns {
		p.conns[conn] = struct{}{}
	}
	return true
}

func (p *Proxy) leave(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		delete(p.conns, conn)
	}
}

// forward copies one direction until either end is closed, and then closes both.
func forward(to, from net.Conn, g *gate) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			g.pass()
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// gate is open, or blocks callers of pass until it is opened.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // nil: open

	waiting atomic.Int64
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

func (g *gate) pass() {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if opened != nil {
		g.waiting.Add(1)
		<-opened
		g.waiting.Add(-1)
	}
}
