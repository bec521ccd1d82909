package api_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tillstream/events/api"
)

// Row 73 of the fault matrix: DNS rebinding. A request whose Host is a name that a stranger can register is refused.
//
// API8 of the OWASP API Top 10.
func TestForeignHostIsRefused(t *testing.T) {
	t.Parallel()
	loopback, everywhere := &net.TCPAddr{IP: net.IPv6loopback, Port: 8080}, &net.TCPAddr{IP: net.IPv4zero, Port: 8080}
	for _, c := range []struct {
		host                 string
		loopback, everywhere bool // accepted by a server that listens there
	}{
		{"localhost", true, true}, {"localhost:8080", true, true}, {"LOCALHOST.:1", true, true},
		{"127.0.0.1:8080", true, true}, {"127.8.8.8", true, true}, {"[::1]:8080", true, true}, {"[::1]", true, true}, {"", true, true},
		{"shop.example.com", true, true}, {"Shop.Example.com:443", true, true}, {"till.example", true, true},
		{"[2001:db8::7]:8080", true, true}, {"10.0.0.7:8081", false, true}, {"[fd00::2]:8081", false, true}, {"orders:8081", false, true},
		{"evil.example", false, false}, {"evil.example:8080", false, false}, {"localhost.evil.example", false, false}, {"127.0.0.1.evil.example", false, false},
		{"shop.example.com.evil.example", false, false}, {"orders.tillstream.svc", false, false},
	} {
		for addr, want := range map[*net.TCPAddr]bool{loopback: c.loopback, everywhere: c.everywhere} {
			served := false
			handler := api.CheckHost(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }), addr,
				"https://shop.example.com", " till.example ", "http://[2001:db8::7]:8080", "")
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = c.host
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if served != want {
				t.Errorf("host %q at %s: got served %t, want %t", c.host, addr, served, want)
			}
			if !served && (w.Code != http.StatusMisdirectedRequest || !strings.Contains(w.Body.String(), "ALLOWED_HOSTS")) {
				t.Errorf("host %q at %s: got status %d %s, want 421 that names ALLOWED_HOSTS", c.host, addr, w.Code, w.Body)
			}
		}
	}
}
