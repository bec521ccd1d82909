//go:build unix

package process_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/worker"
)

// hosted is a process with one domain, on a broker and a database of its own.
type hosted struct {
	*process.Host
	broker *embedded.NATS
	proxy  *logtest.Proxy // between the process and its broker
	mongo  *embedded.Mongo
	own    *eventlog.Log // of the process
	log    *eventlog.Log // of another process
	db     *mongo.Database
	server *httptest.Server

	decide, act atomic.Pointer[error] // errors of the domain's handlers
	check       atomic.Pointer[error] // error of a check of the program's own
}

// ordersOnly is a domain whose handlers return what the test wants.
type ordersOnly struct{ h *hosted }

func (ordersOnly) Register(huma.API) {}
func (ordersOnly) Ready() error      { return nil }

func (d ordersOnly) Projections() []project.Projection {
	return []project.Projection{{Name: "orders.projection", Collections: []project.Collection{
		project.NewCollection("orders", placed, func(_ string, n int) any { return n })}}}
}

func (d ordersOnly) Worker() worker.Domain {
	return worker.Domain{Name: "orders", Log: d.h.own,
		Routes: []worker.Route{worker.On(func(*eventlog.Tx, events.Event, events.OrderPlaced) error { return valueOf(&d.h.decide) })},
		Actors: []worker.Actor{{Name: "orders.act", Routes: []worker.ActRoute{
			worker.Do(func(context.Context, events.Event, events.OrderPlaced) error { return valueOf(&d.h.act) })}}}}
}

func valueOf(p *atomic.Pointer[error]) error {
	if err := p.Load(); err != nil {
		return *err
	}
	return nil
}

func set(p *atomic.Pointer[error], err error) { p.Store(&err) }

// startHost runs the process until the test ends. prepare is called before it starts.
func startHost(t *testing.T, prepare ...func(*hosted)) *hosted {
	t.Helper()
	h := &hosted{broker: logtest.Server(t)}
	h.proxy = logtest.NewProxy(t, strings.TrimPrefix(h.broker.URL(), "nats://"))
	h.log = logtest.OpenOn(t, h.broker)
	for _, p := range prepare {
		p(h)
	}
	h.own = logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+h.proxy.Addr()), func(c *eventlog.Config) { c.Patience = time.Second })
	h.openDatabase(t)
	registry := prometheus.NewRegistry()
	var err error
	h.Host, err = process.NewHost(t.Context(), process.HostConfig{DB: h.db, Log: h.own, Registerer: registry, Window: 10 * time.Millisecond,
		Checks: []process.Check{{Code: process.CodeDiskFull, Problem: func() error { return valueOf(&h.check) }}}}, ordersOnly{h})
	if err != nil {
		t.Fatal(err)
	}
	mux := api.NewMux()
	api.Health(mux, api.Readiness{Vital: h.Vital, Degraded: h.Degraded}, registry, nil)
	h.server = httptest.NewServer(api.Routes(mux))
	t.Cleanup(h.server.Close)
	if got := h.get(t); got.code != http.StatusServiceUnavailable || got.conditions != process.CodeStarting {
		t.Errorf("before it runs: got %+v, want 503 and starting", got)
	}
	h.run(t)
	return h
}

func (h *hosted) openDatabase(t *testing.T) {
	t.Helper()
	var err error
	if h.mongo, err = embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.mongo.Stop)
	if h.db, err = project.Connect(t.Context(), h.mongo.URI()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.db.Client().Disconnect(context.WithoutCancel(t.Context())) })
}

// run runs the process until the test ends.
func (h *hosted) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run host: %v", err)
		}
	})
}

// health is what /readyz and /metrics say: the status, and the codes of the conditions in order, separated by spaces.
type health struct {
	code       int
	conditions string
}

var onMetric = regexp.MustCompile(`(?m)^tillstream_condition\{code="([a-z_]+)",effect="[a-z_]+"\} 1$`)

func (h *hosted) get(t *testing.T) health {
	t.Helper()
	ready, _ := h.fetch(t, "/readyz")
	_, metrics := h.fetch(t, "/metrics")
	var codes []string
	for _, found := range onMetric.FindAllStringSubmatch(metrics, -1) {
		codes = append(codes, found[1])
	}
	return health{ready, strings.Join(codes, " ")}
}

func (h *hosted) fetch(t *testing.T, path string) (code int, body string) {
	t.Helper()
	answer, err := http.Get(h.server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var text strings.Builder
	if err := answer.Write(&text); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, text.String()
}

// await waits until the process has exactly these conditions.
func (h *hosted) await(t *testing.T, code int, conditions string) {
	t.Helper()
	want, got := health{code, conditions}, health{}
	defer func() {
		if got != want {
			t.Logf("got %+v", got)
		}
	}()
	proc.WaitFor(t, "the conditions are: "+conditions, time.Minute, func() bool {
		got = h.get(t)
		return got == want
	})
}

// place appends an order from another process.
func (h *hosted) place(t *testing.T, id string) {
	t.Helper()
	if err := placeOrder(t.Context(), h.log, id); err != nil {
		t.Fatal(err)
	}
}

func placeOrder(ctx context.Context, l *eventlog.Log, ids ...string) error {
	return l.Do(ctx, func(tx *eventlog.Tx) error {
		for _, id := range ids {
			if err := placed.Append(tx, id, events.OrderPlaced{OrderID: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

// expect waits until the process has a condition, and perhaps others that follow from it.
func (h *hosted) expect(t *testing.T, code int, condition string) {
	t.Helper()
	proc.WaitFor(t, "the process reports "+condition, time.Minute, func() bool {
		got := h.get(t)
		return got.code == code && strings.Contains(" "+got.conditions+" ", " "+condition+" ")
	})
}
