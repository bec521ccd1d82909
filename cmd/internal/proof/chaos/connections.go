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

// wires are what the processes of a shop are connected by: a proxy for each worker and server.
type wires struct {
	server *toxiproxy.ApiServer // speaks no HTTP here: proxies cannot be made without one

	mu      sync.Mutex
	proxies map[string]*toxiproxy.Proxy
}

// newWires silences what the proxies' toxics say to a log of their own.
func newWires() *wires {
	zerolog.SetGlobalLevel(zerolog.Disabled)
	return &wires{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), proxies: map[string]*toxiproxy.Proxy{}}
}

// lay puts a proxy between a process and a server and returns its address.
func (w *wires) lay(process, server, addr string) (instead string, err error) {
	name := Connection(process, server)
	proxy := toxiproxy.NewProxy(w.server, name, "127.0.0.1:0", addr)
	if err := proxy.Start(); err != nil {
		return "", fmt.Errorf("stand between %s: %w", name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxies[name] = proxy
	return proxy.Listen, nil
}

// cut takes all proxies away.
func (w *wires) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, proxy := range w.proxies {
		proxy.Stop()
	}
}

// toxic is what spoils one direction of a connection.
type toxic struct {
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Stream     string           `json:"stream"`
	Attributes map[string]int64 `json:"attributes"`
}

const (
	toServer = "upstream"
	back     = "downstream"
)

// toxics are what a kind of fault does to a connection.
func toxics(f Fault) []toxic {
	both := func(kind string, attributes map[string]int64) []toxic {
		return []toxic{{Name: kind + " there", Type: kind, Stream: toServer, Attributes: attributes}, {Name: kind + " back", Type: kind, Stream: back, Attributes: attributes}}
	}
	switch f.Kind {
	case ConnectionReset:
		return both("reset_peer", map[string]int64{"timeout": 0})
	case ConnectionSlow: // half on each way
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

// mending is how long it may take to take a toxic away: it waits for what is on its way through.
const mending = 30 * time.Second

// spoil begins a fault of a connection and returns what ends it.
func (w *wires) spoil(f Fault) (mend func() error, err error) {
	w.mu.Lock()
	proxy := w.proxies[f.Victim]
	w.mu.Unlock()
	if proxy == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknownVictim, f.Victim)
	}
	var added []string
	mend = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), mending)
		defer cancel()
		for _, name := range added {
			if err := proxy.Toxics.RemoveToxic(ctx, name); err != nil {
				return fmt.Errorf("mend %s: %w", f.Victim, err)
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
			return mend, fmt.Errorf("spoil %s: %w", f.Victim, err)
		}
		added = append(added, t.Name)
	}
	return mend, nil
}
