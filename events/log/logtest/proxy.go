package logtest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// dialing bounds the wait for a target on loopback.
const dialing = 10 * time.Second

// Proxy is a stretch of wire that a test can cut. What it holds back arrives when it is released, as after a partition
// in which TCP kept trying; what it holds back when it is reset is lost, as when a machine dies.
type Proxy struct {
	target   string
	listener net.Listener
	up, down gate // towards the target, and back

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	gone  bool // nobody is let in
	busy  sync.WaitGroup
}

// NewProxy listens on a free loopback port and forwards to a target until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, listener: listener, conns: map[net.Conn]struct{}{}}
	p.busy.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close() // nobody comes any more
		p.Refuse()
		p.Release()
		p.busy.Wait()
	})
	return p
}

// Addr is where to connect to instead of the target.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Hold lets nothing through in either direction. Connections stay open, and new ones are accepted: silence, not refusal.
func (p *Proxy) Hold() { p.up.close(); p.down.close() }

// HoldAnswers lets what clients say through, and nothing of what they are told.
func (p *Proxy) HoldAnswers() { p.down.close() }

// Holding reports whether something that a client said waits to be let through.
func (p *Proxy) Holding() bool { return p.up.waiting.Load() > 0 }

// Release lets everything through again, first what was held back.
func (p *Proxy) Release() {
	p.mu.Lock()
	p.gone = false
	p.mu.Unlock()
	p.up.open()
	p.down.open()
}

// Reset closes all connections. What is held back is lost.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close() // what is on it is given up
	}
}

// Refuse closes all connections and takes no new ones until Release.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	p.Reset()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // the test has ended
		}
		p.busy.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{Timeout: dialing}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return // the target is down, and so is this connection
	}
	defer server.Close()
	if !p.enter(client, server) {
		return
	}
	defer p.leave(client, server)
	var halves sync.WaitGroup
	halves.Go(func() { forward(server, client, &p.up) })
	halves.Go(func() { forward(client, server, &p.down) })
	halves.Wait()
}

func (p *Proxy) enter(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
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

// gate is open, or holds up whoever wants to pass.
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
