package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events/api"
)

// streaming serves an event stream that begins with one comment and ends when the client leaves.
func streaming(t *testing.T, limits api.StreamLimits) *httptest.Server {
	t.Helper()
	var proxies api.Proxies
	if err := proxies.UnmarshalText([]byte("127.0.0.0/8")); err != nil {
		t.Fatal(err)
	}
	streams, err := api.NewStreams(limits)
	if err != nil {
		t.Fatal(err)
	}
	mux := api.NewMux()
	router := api.New(mux)
	huma.Register(router, huma.Operation{Method: http.MethodGet, Path: "/stream", OperationID: "stream", Responses: api.EventStreamResponse(),
		Middlewares: huma.Middlewares{api.IdentifyClient(proxies), streams.Limit(router)}}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			if stream, ok := api.OpenEventStream(ctx); ok && stream.Heartbeat() == nil {
				<-ctx.Context().Done()
			}
		}}, nil
	})
	huma.Register(router, huma.Operation{Method: http.MethodGet, Path: "/payment", OperationID: "payment",
		Middlewares: huma.Middlewares{api.IdentifyClient(proxies), streams.LimitWaits(router)}}, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
	server := httptest.NewServer(api.Routes(mux))
	t.Cleanup(server.Close)
	return server
}

// open sends a request as a client behind a proxy. It returns the status, Retry-After, and a function that leaves.
func open(t *testing.T, server *httptest.Server, path, client string) (status int, retryAfter string, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", client)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response.StatusCode, response.Header.Get("Retry-After"), cancel
}

// Streams are limited per client and in total. A stream that ends makes room for another.
//
// API4 of the OWASP API Top 10.
func TestOpenStreamsAreLimited(t *testing.T) {
	t.Parallel()
	server := streaming(t, api.StreamLimits{Total: 3, PerClient: 2})
	var leave func()
	for _, c := range []struct {
		client string
		want   int
	}{{"203.0.113.1", 200}, {"203.0.113.1", 200}, {"203.0.113.1", 429}, {"203.0.113.2", 200}, {"203.0.113.3", 503}} {
		status, retryAfter, cancel := open(t, server, "/stream", c.client)
		if status != c.want || (retryAfter != "") != (c.want != http.StatusOK) {
			t.Fatalf("stream of %s: got %d with Retry-After %q, want %d", c.client, status, retryAfter, c.want)
		}
		if c.want == http.StatusOK {
			leave = cancel
		}
	}
	for path, want := range map[string]int{"/payment": 204, "/payment?wait=0": 204, "/payment?wait=5": 429} {
		if status, _, _ := open(t, server, path, "203.0.113.1"); status != want {
			t.Errorf("%s with two open streams: got %d, want %d", path, status, want)
		}
	}
	leave()
	for { // the server notices that the client has left
		status, _, _ := open(t, server, "/stream", "203.0.113.3")
		if status == http.StatusOK {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("a stream has ended, and no other can be opened")
		}
	}
	if _, err := api.NewStreams(api.StreamLimits{Total: -1}); err == nil {
		t.Error("a negative limit: got no error")
	}
}

// A client that does not read its stream is disconnected, so that it does not count among the open ones for ever.
//
// API4 of the OWASP API Top 10.
func TestStalledReaderIsDropped(t *testing.T) {
	t.Parallel()
	dropped := make(chan error, 1)
	mux := api.NewMux()
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for part := bytes.Repeat([]byte("x"), 1<<16); err == nil; {
			_, err = w.Write(part)
		}
		dropped <- err
	})
	onPipe(t, mux, func(client io.ReadWriter) {
		fmt.Fprint(client, "GET /stream HTTP/1.1\r\nHost: shop\r\n\r\n")
		<-time.After(time.Minute) // of the bubble's clock
		select {
		case err := <-dropped:
			if err == nil {
				t.Error("got no error of the write")
			}
		default:
			t.Error("after a minute the client is still connected")
		}
	})
}
