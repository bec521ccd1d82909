package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events/api"
)

// pipes is a listener for connections in memory, whose deadlines follow the clock of a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// onPipe serves a mux as the programs do, and calls talk with a connection. Time passes whenever both sides wait.
func onPipe(t *testing.T, mux *api.Mux, talk func(client io.ReadWriter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- api.Serve(ctx, listener, api.Wrap(api.Routes(mux), mux, slog.New(slog.DiscardHandler), prometheus.NewRegistry()), time.Second)
		}()
		server, client := net.Pipe()
		listener.conns <- server
		talk(client)
		_ = client.Close()
		stop()
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// Row 46 of the fault matrix: a client that sends its body slowly is answered 408, or is disconnected, on routes that read the body and on all others.
//
// API4 of the OWASP API Top 10.
func TestSlowBodyIsCut(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]int{"/things": http.StatusRequestTimeout, "/raw": http.StatusRequestTimeout, "/unread": http.StatusNoContent, "/nowhere": http.StatusNotFound} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			onPipe(t, slowRoutes(), func(client io.ReadWriter) {
				begun := time.Now()
				fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", path)
				reader := bufio.NewReader(client)
				response, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				if response.StatusCode != want {
					t.Errorf("got status %d, want %d", response.StatusCode, want)
				}
				if _, err := io.Copy(io.Discard, reader); err != nil || time.Since(begun) > 15*time.Second {
					t.Errorf("got %v after %s, want the end of the connection within 15s", err, time.Since(begun))
				}
			})
		})
	}
}

// slowRoutes are a route of an API, one that reads the body itself, and one that does not read it.
func slowRoutes() *api.Mux {
	mux := api.NewMux()
	huma.Register(api.New(mux), huma.Operation{Method: http.MethodPost, Path: "/things", OperationID: "things", MaxBodyBytes: api.MaxBody, Errors: []int{422}},
		func(context.Context, *struct{ Body struct{ Name string } }) (*struct{}, error) { return nil, nil })
	mux.HandleFunc("POST /raw", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			api.WriteProblem(w, http.StatusRequestTimeout, "too slow")
		}
	})
	mux.HandleFunc("POST /unread", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}

// A connection serves another request after an answer that was long ago: the time limit is of each part of an answer.
func TestSlowAnswersAreNotCut(t *testing.T) {
	t.Parallel()
	mux := api.NewMux()
	mux.HandleFunc("GET /poll", func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(50 * time.Second) // of the bubble's clock
		w.WriteHeader(http.StatusNoContent)
	})
	onPipe(t, mux, func(client io.ReadWriter) {
		reader := bufio.NewReader(client)
		for range 3 {
			fmt.Fprint(client, "GET /poll HTTP/1.1\r\nHost: shop\r\n\r\n")
			response, err := http.ReadResponse(reader, nil)
			if err != nil || response.StatusCode != http.StatusNoContent {
				t.Fatalf("got %+v, %v, want 204", response, err)
			}
			<-time.After(time.Minute) // of the bubble's clock
		}
	})
}
