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
	"time"

	"tillstream/cmd/internal/storefront"
)

// startEcho runs an upstream that answers with its name and the request.
func startEcho(t *testing.T, name string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s: read request: %v", name, err)
		}
		w.Header().Set("X-Seen-Host", r.Header.Get("X-Forwarded-Host"))
		w.Header().Set("X-Seen-For", r.Header.Get("X-Forwarded-For"))
		fmt.Fprintf(w, "%s %s %s %s", name, r.Method, r.URL.RequestURI(), body)
	}))
	t.Cleanup(server.Close)
	return server
}

// closedAddress returns an address that refuses connections.
func closedAddress(t *testing.T) string {
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
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read answer to %s %s: %v", method, address, err)
	}
	return response, string(data)
}

func TestProxySendsEachPathToItsDomain(t *testing.T) {
	proxy := openProxy(t, storefront.Upstreams{Inventory: startEcho(t, "inventory").URL, Notifications: startEcho(t, "notifications").URL,
		Orders: startEcho(t, "orders").URL, Payments: startEcho(t, "payments").URL})
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
		"POST /ops/api/orders/1/cancel":         "orders POST /ops/api/orders/1/cancel x",
		"GET /ops/api/payments?x=1":             "payments GET /ops/api/payments?x=1 ",
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
			t.Errorf("%s: got %q, want %q", request, got, want)
		}
		if host := response.Header.Get("X-Seen-Host"); "http://"+host != proxy.URL {
			t.Errorf("%s: X-Forwarded-Host = %q, want the proxy's", request, host)
		}
		if client := response.Header.Get("X-Seen-For"); client != "6.6.6.6, 127.0.0.1" {
			t.Errorf("%s: X-Forwarded-For = %q, want 6.6.6.6, 127.0.0.1: a client must not choose the last address", request, client)
		}
	}
	if response, body := do(t, "GET", proxy.URL+"/api/nothing", ""); response.StatusCode != 404 || !strings.Contains(body, `"status":404`) {
		t.Errorf("GET /api/nothing = %d %s, want 404", response.StatusCode, body)
	}
}

func TestProxyFlushesEventStreams(t *testing.T) {
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
		// The upstream continues only after this line is read: with a buffer anywhere, the test would hang.
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("read %q (%v), want %q", lines.Text(), lines.Err(), want)
		}
		if want != "data: 3" {
			next <- "data: " + fmt.Sprint(int(want[6]-'0')+1)
		}
	}
	close(next)
}

func TestProxyTriesTheNextReplica(t *testing.T) {
	list := closedAddress(t) + ", " + startEcho(t, "alive").URL + "/," + closedAddress(t)
	proxy := openProxy(t, storefront.Upstreams{Inventory: list, Notifications: list, Orders: list, Payments: list})
	for range 12 {
		if response, body := do(t, "GET", proxy.URL+"/api/items", ""); response.StatusCode != 200 {
			t.Fatalf("GET /api/items = %d %s, want 200", response.StatusCode, body)
		}
		// Safe to send again without a key, because a refused connection has sent nothing.
		if response, body := do(t, "POST", proxy.URL+"/api/orders", "the order"); body != "alive POST /api/orders the order" {
			t.Fatalf("POST /api/orders = %d %s, want the answer of alive", response.StatusCode, body)
		}
	}
}

// startDying runs an upstream that reads the whole request and closes the connection without an answer, as a killed
// process does. It counts the requests.
func startDying(t *testing.T, requests *atomic.Int64) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Errorf("read: %v", err)
		}
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestProxyRepeatsOnlyRepeatableRequests(t *testing.T) {
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
			var requests atomic.Int64
			list := startDying(t, &requests).URL + "," + startEcho(t, "alive").URL
			for range 2 { // each replica comes first once
				proxy := openProxy(t, storefront.Upstreams{Inventory: list, Notifications: list, Orders: list, Payments: list})
				before := requests.Load()
				var response *http.Response
				var body string
				for requests.Load() == before {
					response, body = do(t, test.method, proxy.URL+test.path, test.body, test.headers...)
				}
				want := fmt.Sprintf("alive %s %s %s", test.method, test.path, test.body)
				if test.repeated && body != want {
					t.Errorf("got %d %q, want %q", response.StatusCode, body, want)
				}
				if !test.repeated && response.StatusCode != 503 {
					t.Errorf("got %d %q, want 503: the request was sent twice", response.StatusCode, body)
				}
			}
		})
	}
}

func TestUnreachableDomainReturnsProblemJSON(t *testing.T) {
	proxy := openProxy(t, storefront.Upstreams{Inventory: closedAddress(t), Notifications: closedAddress(t), Orders: closedAddress(t), Payments: closedAddress(t)})
	response, body := do(t, "GET", proxy.URL+"/api/orders/1/payment", "")
	var problem struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil {
		t.Fatalf("read %q: %v", body, err)
	}
	if response.StatusCode != 503 || response.Header.Get("Content-Type") != "application/problem+json" ||
		problem.Status != 503 || !strings.Contains(problem.Detail, "payments service is not available") || strings.Contains(body, "127.0.0.1") {
		t.Errorf("got %d %v %s, want a 503 problem that names the service and no address", response.StatusCode, response.Header, body)
	}
	// Pages over the same proxy show a page instead.
	shop := newShop(t, storefront.Config{API: proxy.Config.Handler})
	if page, html := get(t, shop, "/"); page.StatusCode != 503 || !strings.Contains(html, "Back in a moment") {
		t.Errorf("GET / = %d, want the 503 page", page.StatusCode)
	}
}

func TestProxyRefusesInvalidAddresses(t *testing.T) {
	good := "http://127.0.0.1:1"
	for _, bad := range []string{"", " , ", "127.0.0.1:80", "http://h/path", "ftp://h", good + ",nonsense"} {
		if _, err := storefront.Proxy(storefront.Upstreams{Inventory: good, Notifications: good, Orders: bad, Payments: good}, nil); !errors.Is(err, storefront.ErrConfig) {
			t.Errorf("addresses %q: Proxy() error = %v, want ErrConfig", bad, err)
		}
	}
}

// Row 46 of the fault matrix: the proxy answers 408 when a body that it reads ahead does not arrive. A body that it passes on is cut
// by the domain.
func TestProxyCutsSlowBodies(t *testing.T) {
	t.Parallel()
	upstream := startEcho(t, "slow").URL
	handler, err := storefront.Proxy(storefront.Upstreams{Inventory: upstream, Notifications: upstream, Orders: upstream, Payments: upstream}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ReadTimeout = 200 * time.Millisecond
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /api/orders HTTP/1.1\r\nHost: shop\r\nIdempotency-Key: k\r\nContent-Length: 100\r\n\r\n{")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusRequestTimeout {
		t.Errorf("got %s, want 408", response.Status)
	}
}
