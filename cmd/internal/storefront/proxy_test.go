package storefront_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"tillstream/cmd/internal/storefront"
)

// named answers with its name and what it was asked.
func named(t *testing.T, name string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s reads: %v", name, err)
		}
		w.Header().Set("X-Seen-Host", r.Header.Get("X-Forwarded-Host"))
		w.Header().Set("X-Seen-For", r.Header.Get("X-Forwarded-For"))
		fmt.Fprintf(w, "%s %s %s %s", name, r.Method, r.URL.RequestURI(), body)
	}))
	t.Cleanup(server.Close)
	return server
}

// deadAddress is one that refuses connections.
func deadAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

func openProxy(t *testing.T, upstreams storefront.Upstreams) *httptest.Server {
	t.Helper()
	handler, err := storefront.Proxy(upstreams, nil)
	if err != nil {
		t.Fatalf("build proxy: %v", err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// do sends a request and reads the answer.
func do(t *testing.T, method, address, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read answer to %s %s: %v", method, address, err)
	}
	return response, string(answer)
}

func TestProxySendsEachPathToItsDomain(t *testing.T) {
	proxy := openProxy(t, storefront.Upstreams{Inventory: named(t, "inventory").URL, Notifications: named(t, "notifications").URL,
		Orders: named(t, "orders").URL, Payments: named(t, "payments").URL})
	for request, want := range map[string]string{
		"GET /api/items?q=a%20b":                "inventory GET /api/items?q=a%20b ",
		"GET /api/items/MUG-1":                  "inventory GET /api/items/MUG-1 ",
		"POST /ops/api/items/MUG-1":             "inventory POST /ops/api/items/MUG-1 x",
		"POST /ops/api/stock/MUG-1/adjustments": "inventory POST /ops/api/stock/MUG-1/adjustments x",
		"POST /api/orders":                      "orders POST /api/orders x",
		"GET /api/orders/1":                     "orders GET /api/orders/1 ",
		"GET /api/orders/1/events":              "orders GET /api/orders/1/events ",
		"POST /api/orders/1/cancel":             "orders POST /api/orders/1/cancel x",
		"GET /ops/api/orders?x=1":               "orders GET /ops/api/orders?x=1 ",
		"GET /api/orders/1/payment?wait=20":     "payments GET /api/orders/1/payment?wait=20 ",
		"GET /ops/api/notifications/1":          "notifications GET /ops/api/notifications/1 ",
		"POST /webhooks/stripe":                 "payments POST /webhooks/stripe x",
	} {
		method, path, _ := strings.Cut(request, " ")
		body := ""
		if method == "POST" {
			body = "x"
		}
		response, got := do(t, method, proxy.URL+path, body, "X-Forwarded-For", "6.6.6.6")
		if got != want {
			t.Errorf("%s reached %q, want %q", request, got, want)
		}
		if host := response.Header.Get("X-Seen-Host"); "http://"+host != proxy.URL {
			t.Errorf("%s: X-Forwarded-Host is %q", request, host)
		}
		if client := response.Header.Get("X-Seen-For"); client != "127.0.0.1" {
			t.Errorf("%s: X-Forwarded-For is %q; a visitor must not choose it", request, client)
		}
	}
	if response, body := do(t, "GET", proxy.URL+"/api/nothing", ""); response.StatusCode != 404 || !strings.Contains(body, `"status":404`) {
		t.Errorf("an unknown path answered %d %s", response.StatusCode, body)
	}
}

func TestProxyPassesStreamsAsTheyCome(t *testing.T) {
	next := make(chan string)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for line := range next {
			fmt.Fprintln(w, line)
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(upstream.Close)
	proxy := openProxy(t, storefront.Upstreams{Inventory: upstream.URL, Notifications: upstream.URL, Orders: upstream.URL, Payments: upstream.URL})
	go func() { next <- "data: 1" }()
	response, err := http.Get(proxy.URL + "/api/orders/1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for _, want := range []string{"data: 1", "data: 2", "data: 3"} {
		// The upstream goes on only after the line before has been read here: a buffer anywhere would hang the test.
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("read %q (%v), want %q", lines.Text(), lines.Err(), want)
		}
		if want != "data: 3" {
			next <- "data: " + fmt.Sprint(int(want[6]-'0')+1)
		}
	}
	close(next)
}

func TestProxyAsksTheNextReplica(t *testing.T) {
	list := deadAddress(t) + ", " + named(t, "living").URL + "/," + deadAddress(t)
	proxy := openProxy(t, storefront.Upstreams{Inventory: list, Notifications: list, Orders: list, Payments: list})
	for range 12 {
		if response, body := do(t, "GET", proxy.URL+"/api/items", ""); response.StatusCode != 200 {
			t.Fatalf("a read answered %d %s", response.StatusCode, body)
		}
		// Without a key, and still safe to send again: a refused connection has carried nothing.
		if response, body := do(t, "POST", proxy.URL+"/api/orders", "the order"); body != "living POST /api/orders the order" {
			t.Fatalf("a write answered %d %s", response.StatusCode, body)
		}
	}
}

// dying takes the whole request and closes the connection without an answer, as a killed process does.
func dying(t *testing.T, asked *atomic.Int64) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Errorf("read: %v", err)
		}
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestProxyRepeatsOnlyWhatMayBeRepeated(t *testing.T) {
	for name, test := range map[string]struct {
		method, path, body string
		headers            []string
		repeated           bool
	}{
		"Read":         {"GET", "/api/orders/1", "", nil, true},
		"KeyedWrite":   {"POST", "/api/orders", "the order", []string{"Idempotency-Key", "k"}, true},
		"UnkeyedWrite": {"POST", "/api/orders", "the order", nil, false},
		"EmptyWrite":   {"POST", "/api/orders/1/cancel", "", nil, false},
		"Webhook":      {"POST", "/webhooks/stripe", "{}", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			list := dying(t, &asked).URL + "," + named(t, "living").URL
			for range 2 { // the first to be asked is the living one in one of two
				proxy := openProxy(t, storefront.Upstreams{Inventory: list, Notifications: list, Orders: list, Payments: list})
				before := asked.Load()
				var response *http.Response
				var body string
				for asked.Load() == before {
					response, body = do(t, test.method, proxy.URL+test.path, test.body, test.headers...)
				}
				want := fmt.Sprintf("living %s %s %s", test.method, test.path, test.body)
				if test.repeated && body != want {
					t.Errorf("answered %d %q, want %q", response.StatusCode, body, want)
				}
				if !test.repeated && response.StatusCode != 502 {
					t.Errorf("answered %d %q: it was sent twice", response.StatusCode, body)
				}
			}
		})
	}
}

func TestProxySaysWhatCannotBeReached(t *testing.T) {
	proxy := openProxy(t, storefront.Upstreams{Inventory: deadAddress(t), Notifications: deadAddress(t), Orders: deadAddress(t), Payments: deadAddress(t)})
	response, body := do(t, "GET", proxy.URL+"/api/orders/1/payment", "")
	var problem struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil {
		t.Fatalf("read %q: %v", body, err)
	}
	if response.StatusCode != 502 || response.Header.Get("Content-Type") != "application/problem+json" ||
		problem.Status != 502 || !strings.Contains(problem.Detail, "payments service cannot be reached") || strings.Contains(body, "127.0.0.1") {
		t.Errorf("answered %d %v %s", response.StatusCode, response.Header, body)
	}
	// The pages over the same proxy say it in their own way.
	shop := newShop(t, storefront.Config{API: proxy.Config.Handler})
	if page, html := get(t, shop, "/"); page.StatusCode != 503 || !strings.Contains(html, "Back in a moment") {
		t.Errorf("the catalogue answered %d", page.StatusCode)
	}
}

func TestProxyChecksAddresses(t *testing.T) {
	good := "http://127.0.0.1:1"
	for _, bad := range []string{"", " , ", "127.0.0.1:80", "http://h/path", "ftp://h", good + ",nonsense"} {
		if _, err := storefront.Proxy(storefront.Upstreams{Inventory: good, Notifications: good, Orders: bad, Payments: good}, nil); !errors.Is(err, storefront.ErrConfig) {
			t.Errorf("addresses %q: error is %v, want ErrConfig", bad, err)
		}
	}
}
