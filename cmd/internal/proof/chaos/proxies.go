package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxies are the proxies between the processes of a shop and its servers, one per process and server.
type proxies struct {
	server *toxiproxy.ApiServer // required to make a proxy; its HTTP API is not started

	mu     sync.Mutex
	byName map[string]*toxiproxy.Proxy
}

// newProxies also disables the log of the toxics, which is global.
func newProxies() *proxies {
	zerolog.SetGlobalLevel(zerolog.Disabled)
	return &proxies{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), byName: map[string]*toxiproxy.Proxy{}}
}

// start starts a proxy between a process and a server and returns its address.
func (p *proxies) start(process, server, addr string) (listen string, err error) {
	name := Connection(process, server)
	proxy := toxiproxy.NewProxy(p.server, name, "127.0.0.1:0", addr)
	if err := proxy.Start(); err != nil {
		return "", fmt.Errorf("start proxy of %s: %w", name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byName[name] = proxy
	return proxy.Listen, nil
}

// stop stops all proxies.
func (p *proxies) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, proxy := range p.byName {
		proxy.Stop()
	}
}

// toxic is a fault of one direction of a connection, as toxiproxy reads it.
type toxic struct {
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Stream     string           `json:"stream"`
	Attributes map[string]int64 `json:"attributes"`
}

const (
	toServer = "upstream"
	toClient = "downstream"
)

// toxics returns what a fault does to a connection.
func toxics(f Fault) []toxic {
	both := func(kind string, attributes map[string]int64) []toxic {
		return []toxic{{Name: kind + " there", Type: kind, Stream: toServer, Attributes: attributes}, {Name: kind + " back", Type: kind, Stream: toClient, Attributes: attributes}}
	}
	switch f.Kind {
	case ConnectionReset:
		return both("reset_peer", map[string]int64{"timeout": 0})
	case ConnectionSlow: // half in each direction
		return both("latency", map[string]int64{"latency": f.Amount / 2, "jitter": f.Amount / 8})
	case ConnectionNarrow:
		return both("bandwidth", map[string]int64{"rate": f.Amount})
	case ConnectionSilent:
		return both("timeout", map[string]int64{"timeout": 0})
	case ConnectionReplies:
		return both("timeout", map[string]int64{"timeout": 0})[1:]
	}
	return nil
}

// removeTimeout bounds the removal of a toxic, which waits for the data on its way through the proxy.
const removeTimeout = 30 * time.Second

// begin begins a fault of a connection. undo ends it.
func (p *proxies) begin(f Fault) (undo func() error, err error) {
	p.mu.Lock()
	proxy := p.byName[f.Target]
	p.mu.Unlock()
	if proxy == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknownTarget, f.Target)
	}
	var added []string
	undo = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
		defer cancel()
		for _, name := range added {
			if err := proxy.Toxics.RemoveToxic(ctx, name); err != nil {
				return fmt.Errorf("remove toxic %s of %s: %w", name, f.Target, err)
			}
		}
		return nil
	}
	for _, t := range toxics(f) {
		spec, err := json.Marshal(t)
		if err == nil {
			_, err = proxy.Toxics.AddToxicJson(bytes.NewReader(spec))
		}
		if err != nil {
			return undo, fmt.Errorf("add toxic %s to %s: %w", t.Name, f.Target, err)
		}
		added = append(added, t.Name)
	}
	return undo, nil
}
