package storefront

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"tillstream/events/api"
)

// Upstreams are the base addresses of the domains' processes, such as http://10.0.0.4:8081. Each field may list several
// replicas, separated by commas.
type Upstreams struct {
	Inventory     string
	Notifications string
	Orders        string
	Payments      string
}

// Proxy returns a handler that serves the APIs of all domains on one origin, for Config.API where each domain runs in its
// own processes. The handler flushes event streams at once. When a replica cannot be reached, it sends the request to the
// next one, unless the request could then take effect twice. Proxy returns [ErrConfig] when an address is wrong.
func Proxy(upstreams Upstreams, logger *slog.Logger) (http.Handler, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	routes := []struct {
		domain, addresses string
		patterns          []string
	}{
		{"inventory", upstreams.Inventory, []string{"/api/items", "/api/items/",
			"/ops/api/items", "/ops/api/items/", "/ops/api/stock", "/ops/api/stock/"}},
		{"notifications", upstreams.Notifications, []string{"/ops/api/notifications/"}},
		{"orders", upstreams.Orders, []string{"/api/orders", "/api/orders/", "/ops/api/orders", "/ops/api/orders/"}},
		{"payments", upstreams.Payments, []string{"/api/orders/{id}/payment", "/ops/api/payments", "/ops/api/payments/", "/webhooks/"}},
	}
	for _, route := range routes {
		group, err := newReplicas(route.addresses, newTransport(), time.Now)
		if err != nil {
			return nil, fmt.Errorf("%w: addresses of %s: %w", ErrConfig, route.domain, err)
		}
		handler := forward(route.domain, group, logger)
		for _, pattern := range route.patterns {
			mux.Handle(pattern, handler)
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		api.WriteProblem(w, http.StatusNotFound, "There is nothing at this address.")
	})
	return mux, nil
}

// newTransport returns a transport with a short timeout for connecting and a long one for the answer: the slowest answer is a
// long poll of a payment, which takes up to 30 s.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConns:          512,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
	}
}

func forward(domain string, group *replicas, logger *slog.Logger) http.Handler {
	return &httputil.ReverseProxy{
		Transport:     group,
		FlushInterval: -1, // Server-Sent Events must not wait in a buffer
		ErrorLog:      slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", domain                // the transport replaces both with those of a replica
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"] // the proxies before this one; SetXForwarded appends
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, errSlowBody) {
				api.WriteProblem(w, http.StatusRequestTimeout, "The request did not arrive in time. Please send it again.")
				return
			}
			// The context ends when the client disconnects and when this process stops. Neither is logged, but in the
			// second case the client still waits: without an answer here, the server would send an empty 200.
			if r.Context().Err() == nil {
				logger.WarnContext(r.Context(), "no replica available", "domain", domain, "method", r.Method,
					"path", r.URL.Path, "error", err)
			}
			w.Header().Set("Retry-After", "2")
			api.WriteProblem(w, http.StatusServiceUnavailable,
				fmt.Sprintf("The %s service is not available right now. Please try again in a few seconds.", domain))
		},
	}
}

// splitAddresses parses a comma-separated list of base addresses.
func splitAddresses(list string) ([]string, error) {
	var hosts []string
	for address := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(address) == "" {
			continue
		}
		origin, err := originOf(address)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, origin)
	}
	if len(hosts) == 0 {
		return nil, errors.New("want at least one")
	}
	return hosts, nil
}
