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

// Upstreams are the base addresses of the domains' own processes, such as http://10.0.0.4:8081. Each may be several,
// separated by commas: replicas that can stand in for each other.
type Upstreams struct {
	Inventory     string
	Notifications string
	Orders        string
	Payments      string
}

// Proxy puts the domains' APIs on one origin: the handler for Config.API where every domain is its own process.
// Streams are flushed as they come. When a replica cannot be reached the next one is asked, as far as the request
// can be sent again without doing something twice. It fails with [ErrConfig] when an address is wrong.
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
		{"payments", upstreams.Payments, []string{"/api/orders/{id}/payment", "/webhooks/"}},
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
		writeProblem(w, http.StatusNotFound, "No part of the shop answers at this address.")
	})
	return mux, nil
}

// newTransport gives up quickly on a host that does not answer the door, and late on one that is thinking: the
// longest honest answer is a payment long poll of 30 s.
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
		FlushInterval: -1, // Server-Sent Events are useless in a buffer
		ErrorLog:      slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", domain // replicas put the real address here
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			// A request is given up when the shopper has left, or when this process stops, and then the shopper is
			// still there: it is no news, but without an answer the server would make it an empty 200.
			if r.Context().Err() == nil {
				logger.WarnContext(r.Context(), "no replica answers", "domain", domain, "method", r.Method,
					"path", r.URL.Path, "error", err)
			}
			w.Header().Set("Retry-After", "2")
			writeProblem(w, http.StatusBadGateway,
				fmt.Sprintf("The shop's %s service cannot be reached right now. Please try again in a few seconds.", domain))
		},
	}
}

// writeProblem answers in the API's own error format.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	api.WriteProblem(w, status, detail)
}

// splitAddresses reads a comma separated list of base addresses.
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
		return nil, errors.New("none given")
	}
	return hosts, nil
}
