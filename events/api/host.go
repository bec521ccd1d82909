package api

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// CheckHost answers requests with a foreign Host header with 421. Otherwise a page of a stranger could give its own name the
// address of this server (DNS rebinding), and its script in a browser inside the network could read the answers.
//
// A server that listens on loopback accepts localhost, the loopback addresses and names. Any other server also accepts every
// IP address, and every name without a dot, such as a container's: health checks and other processes use these, and such a
// name cannot be registered. names are hosts or URLs, of which the host counts; empty ones are ignored.
func CheckHost(next http.Handler, listener net.Addr, names ...string) http.Handler {
	accepted := []string{"localhost"}
	for _, name := range names {
		if name = strings.TrimSpace(name); name != "" {
			accepted = append(accepted, hostOf(name))
		}
	}
	tcp, ok := listener.(*net.TCPAddr)
	onLoopback := ok && tcp.IP.IsLoopback()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		if !slices.Contains(accepted, host) && !isLocal(host, onLoopback) {
			WriteProblem(w, http.StatusMisdirectedRequest,
				fmt.Sprintf("This server is not %.100q. Operators add further names of the server to ALLOWED_HOSTS.", host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal reports whether a host is no name that a stranger can register. A client of HTTP/1.0 sends none.
func isLocal(host string, onLoopback bool) bool {
	ip := net.ParseIP(host)
	if onLoopback {
		return host == "" || ip.IsLoopback()
	}
	return ip != nil || !strings.Contains(host, ".")
}

// hostOf returns the host of a URL, or of a host with or without a port, in lower case and without brackets.
func hostOf(address string) string {
	if !strings.Contains(address, "://") {
		address = "//" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return address // no name equals it
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}
