package payments

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/events"
)

// gatewayCalls has a call of every method of [Gateway], with sample arguments: a new method is in all tests that use it.
var gatewayCalls = func() map[string]func(context.Context, Gateway) error {
	calls := map[string]func(context.Context, Gateway) error{}
	for i := range reflect.TypeFor[Gateway]().NumMethod() {
		calls[reflect.TypeFor[Gateway]().Method(i).Name] = func(ctx context.Context, g Gateway) error {
			return callWithSamples(ctx, reflect.ValueOf(&g).Elem().Method(i))
		}
	}
	return calls
}()

// callWithSamples calls a method and returns its error.
func callWithSamples(ctx context.Context, method reflect.Value) error {
	var arguments []reflect.Value
	for i := range method.Type().NumIn() {
		arguments = append(arguments, sampleOf(ctx, method.Type().In(i)))
	}
	results := method.Call(arguments)
	err, _ := results[len(results)-1].Interface().(error)
	return err
}

// sampleOf returns an argument of a type. A function gets one that returns zero values.
func sampleOf(ctx context.Context, t reflect.Type) reflect.Value {
	for _, sample := range []any{paidPayment(), "pi_1", gbp1250, 10, WebhookEventTypes(), time.Now(), Part{Key: "v1", Amount: gbp1250}} {
		if reflect.TypeOf(sample) == t {
			return reflect.ValueOf(sample)
		}
	}
	switch {
	case t == reflect.TypeFor[context.Context]():
		return reflect.ValueOf(ctx)
	case t.Kind() == reflect.Func:
		return reflect.MakeFunc(t, func([]reflect.Value) (results []reflect.Value) {
			for i := range t.NumOut() {
				results = append(results, reflect.Zero(t.Out(i)))
			}
			return results
		})
	}
	return reflect.Zero(t)
}

// writes are the calls that change something at Stripe.
var writes = []string{"CreateIntent", "Capture", "Cancel", "Refund"}

func paidPayment() Payment {
	return Payment{ID: "payment-1", OrderID: "order-1", Number: "8F3K2-MQD7A", PaymentIntent: "pi_1", Amount: gbp1250, Shopper: events.ShopperGuest, RequestedAt: time.Now()}
}

// answering returns a server that gives every request the same answer.
func answering(t *testing.T, status int, contentType, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", contentType)
		rw.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		rw.WriteHeader(status)
		fmt.Fprint(rw, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// breaking returns a server that breaks every connection after it has written answer.
func breaking(t *testing.T, answer string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		conn, buffer, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(buffer, answer)
		err = errors.Join(buffer.Flush(), conn.(*net.TCPConn).SetLinger(0), conn.Close()) // a reset
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// An answer that is not Stripe's says nothing about a payment, and whether the request was executed is unknown.
func TestAnswersThatAreNotStripesAreRetried(t *testing.T) {
	t.Parallel()
	const page, failure = "<html><body>502 Bad Gateway</body></html>", `{"error":{"type":"invalid_request_error","code":"amount_too_small","message":"m"}}`
	for name, url := range map[string]string{
		"PageOfProxy":       answering(t, 502, "text/html", page),
		"PageOfFirewall":    answering(t, 403, "text/html", page),
		"PageWith200":       answering(t, 200, "text/html", page),
		"PageWith400":       answering(t, 400, "text/html", page),
		"Empty200":          answering(t, 200, "application/json", ""),
		"Empty400":          answering(t, 400, "application/json", ""),
		"Empty500":          answering(t, 500, "application/json", ""),
		"Truncated200":      answering(t, 200, "application/json", `{"id":"pi_1","object":"payment_in`),
		"Truncated400":      answering(t, 400, "application/json", failure[:40]),
		"OtherJSON200":      answering(t, 200, "application/json", `{"status":"ok"}`),
		"OtherJSON400":      answering(t, 400, "application/json", `{"message":"no"}`),
		"Array":             answering(t, 200, "application/json", `[]`),
		"Null":              answering(t, 200, "application/json", `null`),
		"ErrorWith200":      answering(t, 200, "application/json", failure),
		"MovedPermanently":  answering(t, 301, "text/html", page),
		"Found":             answering(t, 302, "application/json", failure),
		"TemporaryRedirect": answering(t, 307, "application/json", `{"id":"pi_1","object":"payment_intent"}`),
		"NotModified":       answering(t, 304, "application/json", ""),
		"ResetBefore":       breaking(t, ""),
		"ResetInHead":       breaking(t, "HTTP/1.1 200 OK\r\nContent-Le"),
		"ResetInBody":       breaking(t, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"+`{"id":"pi_1"`),
		"NotHTTP":           breaking(t, "SSH-2.0-OpenSSH_9.6\r\n"),
		"NobodyListens":     "http://127.0.0.1:1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for call, make := range gatewayCalls {
				err := make(t.Context(), testGateway(url))
				if !errors.Is(err, ErrRetry) || !errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrAccount) {
					t.Errorf("%s: got %v, want ErrRetry and ErrOutcomeUnknown", call, err)
				}
				if err != nil && (strings.Contains(err.Error(), secretKey) || strings.Contains(err.Error(), "<html>")) {
					t.Errorf("%s: the error contains the key or the page: %v", call, err)
				}
			}
		})
	}
}

// An error of Stripe with a wrong Content-Type is still its error.
func TestContentTypeDoesNotMatter(t *testing.T) {
	t.Parallel()
	url := answering(t, 400, "text/plain", `{"error":{"type":"invalid_request_error","code":"amount_too_small","message":"m"}}`)
	if err := gatewayCalls["CreateIntent"](t.Context(), testGateway(url)); !errors.Is(err, ErrPermanent) {
		t.Errorf("got %v, want ErrPermanent", err)
	}
}

// Every write has a key that depends on nothing but the payment and the refund, every request has the API version of the SDK and names
// this program, and none has telemetry.
func TestRequestsHaveTheirHeaders(t *testing.T) {
	t.Parallel()
	headers := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		headers <- r.Header
		fmt.Fprint(rw, `{"object":"payment_intent"}`)
	}))
	defer server.Close()
	gateway := testGateway(server.URL)
	for call, make := range gatewayCalls {
		var keys []string
		for range 2 { // the second request would carry the telemetry of the first
			if err := make(t.Context(), gateway); err != nil {
				t.Fatalf("%s: %v", call, err)
			}
			h := <-headers
			keys = append(keys, h.Get("Idempotency-Key"))
			if h.Get("X-Stripe-Client-Telemetry") != "" || h.Get("Stripe-Version") == "" || !strings.Contains(h.Get("User-Agent"), "Tillstream/") {
				t.Errorf("%s: got headers %v, want a version, this program as user agent and no telemetry", call, h)
			}
		}
		if isWrite := slices.Contains(writes, call); isWrite && !strings.HasPrefix(keys[0], "payment-1/") || keys[0] != keys[1] || !isWrite && keys[0] != "" {
			t.Errorf("%s: got the keys %q, want one that depends on the payment alone for a write and none for a read", call, keys)
		}
	}
}
