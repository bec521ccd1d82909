package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events/api"
)

// clientOf returns the client address that an operation sees of a request.
func clientOf(t *testing.T, proxies, remote string, forwarded ...string) (client string) {
	t.Helper()
	var trusted api.Proxies
	if err := trusted.UnmarshalText([]byte(proxies)); err != nil {
		t.Fatal(err)
	}
	mux := api.NewMux()
	huma.Register(api.New(mux), huma.Operation{Method: http.MethodGet, Path: "/", Middlewares: huma.Middlewares{api.IdentifyClient(trusted)}},
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			client = api.ClientOf(ctx)
			return nil, nil
		})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = remote
	r.Header["X-Forwarded-For"] = forwarded
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if w.Code != http.StatusNoContent {
		t.Fatalf("got %d %s, want 204", w.Code, w.Body)
	}
	return client
}

// Row 72 of the fault matrix: a client cannot choose its own address, and a proxy's own address counts for no client.
func TestTheClientAddressIsTheLastThatIsNotOfAProxy(t *testing.T) {
	t.Parallel()
	const private = "127.0.0.0/8,10.0.0.0/8,fc00::/7,192.0.2.7"
	for name, c := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"Direct":                {"203.0.113.5:4000", nil, "203.0.113.5"},
		"DirectLies":            {"203.0.113.5:4000", []string{"198.51.100.1"}, "203.0.113.5"},
		"OneProxy":              {"10.0.0.2:4000", []string{"203.0.113.5"}, "203.0.113.5"},
		"TwoProxies":            {"127.0.0.1:4000", []string{"203.0.113.5, 10.0.0.2"}, "203.0.113.5"},
		"SingleAddressOfAProxy": {"192.0.2.7:4000", []string{"203.0.113.5"}, "203.0.113.5"},
		"LiesBehindAProxy":      {"10.0.0.2:4000", []string{"198.51.100.1, 203.0.113.5"}, "203.0.113.5"},
		"LiesInALineOfItsOwn":   {"10.0.0.2:4000", []string{"198.51.100.1", "203.0.113.5"}, "203.0.113.5"},
		"NoHeader":              {"10.0.0.2:4000", nil, ""},
		"OnlyProxies":           {"10.0.0.2:4000", []string{"10.0.0.3"}, ""},
		"Nonsense":              {"10.0.0.2:4000", []string{"203.0.113.5, unknown"}, ""},
		"WithPort":              {"10.0.0.2:4000", []string{"203.0.113.5:9999"}, "203.0.113.5"},
		"IPv6":                  {"[2001:db8:1:2:3:4:5:6]:4000", nil, "2001:db8:1:2::/64"},
		"IPv6BehindAProxy":      {"[fc00::2]:4000", []string{"2001:db8:1:2:ffff::1"}, "2001:db8:1:2::/64"},
		"IPv4InIPv6":            {"[::ffff:203.0.113.5]:4000", nil, "203.0.113.5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := clientOf(t, private, c.remote, c.forwarded...); got != c.want {
				t.Errorf("from %s, forwarded for %q: got %q, want %q", c.remote, c.forwarded, got, c.want)
			}
		})
	}
	for _, bad := range []string{"10.0.0.0/33", "localhost", "10.0.0.1 10.0.0.2"} {
		var p api.Proxies
		if err := p.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("proxies %q: got no error, want one", bad)
		}
	}
}

func TestARequestComesFromItsClientAndNotFromTheProxy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, remote, want string
		forwarded          []string
	}{
		{"no proxy", "203.0.113.5:4711", "203.0.113.5:0", nil},
		{"a stranger's header", "203.0.113.5:4711", "203.0.113.5:0", []string{"192.0.2.1"}},
		{"behind a proxy", "10.0.0.2:80", "203.0.113.5:0", []string{"192.0.2.1, 203.0.113.5"}},
		{"behind two", "10.0.0.2:80", "203.0.113.5:0", []string{"203.0.113.5", "10.0.0.9"}},
		{"in a network of proxies", "10.0.0.2:80", "10.1.2.3:0", []string{"10.1.2.3"}},
		{"a proxy that says nothing", "10.0.0.2:80", "10.0.0.2:0", nil},
		{"a header that is no address", "10.0.0.2:80", "10.0.0.2:0", []string{"<script>"}},
		{"IPv6", "10.0.0.2:80", "[2001:db8::1]:0", []string{"2001:db8::1"}},
		{"no address", "pipe", "pipe", []string{"203.0.113.5"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var trusted api.Proxies
			if err := trusted.UnmarshalText([]byte("10.0.0.0/8")); err != nil {
				t.Fatal(err)
			}
			got := ""
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = tc.remote, tc.forwarded
			api.FromClient(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }), trusted).ServeHTTP(httptest.NewRecorder(), r)
			if got != tc.want {
				t.Errorf("a request from %s with X-Forwarded-For %q: got %s, want %s", tc.remote, tc.forwarded, got, tc.want)
			}
		})
	}
}
