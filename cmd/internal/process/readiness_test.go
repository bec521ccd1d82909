//go:build unix

package process_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/archive"
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

// Row 79 of the fault matrix: a stream or bucket is deleted while the process runs.
func TestReadinessNamesADeletedStream(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	js := h.log.JetStream()
	for stream := range js.ListStreams(t.Context()).Info() {
		if err := js.DeleteStream(t.Context(), stream.Config.Name); err != nil {
			t.Fatal(err)
		}
		proc.WaitFor(t, "readiness names "+stream.Config.Name, time.Minute, func() bool {
			code, body := h.fetch(t, "/readyz")
			return code == http.StatusServiceUnavailable && strings.Contains(body, process.CodeStreamMissing+": stream "+stream.Config.Name)
		})
		if _, err := js.CreateStream(t.Context(), stream.Config); err != nil {
			t.Fatal(err)
		}
	}
	h.await(t, http.StatusOK, "")
}

// Row 79 of the fault matrix: the archive is empty although the log is not.
func TestReadinessReportsAnEmptyArchive(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.place(t, "a")
	a := archive.New(h.db)
	proc.WaitFor(t, "the event is archived", time.Minute, func() bool {
		head, err := a.Head(t.Context())
		return err == nil && head.Last == 1
	})
	if err := h.db.Collection(archive.Collection).Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.await(t, http.StatusOK, process.CodeArchiveEmpty)
	h.place(t, "b") // the lane notices, and archives everything again
	h.await(t, http.StatusOK, "")
}

func TestReadinessReportsLanes(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	set(&h.decide, eventlog.ErrContention)
	h.place(t, "a")
	h.await(t, http.StatusServiceUnavailable, process.CodeLaneWaiting)
	set(&h.decide, nil)
	h.await(t, http.StatusOK, "")

	set(&h.act, worker.OpenCircuit(errors.New("relay access denied")))
	h.place(t, "b")
	h.await(t, http.StatusOK, process.CodeCircuitOpen)
	set(&h.act, nil)
	h.await(t, http.StatusOK, "")

	if err := worker.PauseLane(t.Context(), h.log, "orders.act", time.Time{}); err != nil {
		t.Fatal(err)
	}
	h.await(t, http.StatusOK, process.CodeLanePaused)
	if err := worker.ResumeLane(t.Context(), h.log, "orders.act"); err != nil {
		t.Fatal(err)
	}
	h.await(t, http.StatusOK, "")

	set(&h.check, embedded.ErrDiskFull)
	h.await(t, http.StatusServiceUnavailable, process.CodeDiskFull)
	set(&h.check, nil)
	h.await(t, http.StatusOK, "")

	set(&h.decide, errors.New("impossible"))
	h.place(t, "c")
	h.await(t, http.StatusOK, process.CodeDeadLetters)
	if _, body := h.fetch(t, "/readyz"); !strings.Contains(body, "open: orders 1;") {
		t.Errorf("reason: got %s, want the number of dead letters of the lane", body)
	}
}

func TestReadinessReportsBacklogs(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	lanes := []string{"orders.projection", archive.Lane}
	for _, lane := range lanes {
		if err := worker.PauseLane(t.Context(), h.log, lane, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	h.await(t, http.StatusOK, process.CodeLanePaused)
	for n := range 11 {
		ids := make([]string, eventlog.MaxBatch)
		for i := range ids {
			ids[i] = fmt.Sprintf("o-%d-%d", n, i)
		}
		if err := placeOrder(t.Context(), h.log, ids...); err != nil {
			t.Fatal(err)
		}
	}
	h.await(t, http.StatusOK, strings.Join([]string{process.CodeArchiveBehind, process.CodeLanePaused, process.CodeProjectionBehind}, " "))
	for _, lane := range lanes {
		if err := worker.ResumeLane(t.Context(), h.log, lane); err != nil {
			t.Fatal(err)
		}
	}
	h.await(t, http.StatusOK, "")
}

// Row 23 of the fault matrix, for readiness: the database is down.
func TestReadinessReportsTheDatabase(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	h.mongo.Stop()
	h.await(t, http.StatusOK, process.CodeDatabaseUnavailable)
}

// A broker that does not answer makes the process not ready, and readiness itself answers at once.
func TestReadinessReportsASilentBroker(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	h.proxy.Hold()
	h.expect(t, http.StatusServiceUnavailable, process.CodeBrokerUnavailable)
	h.proxy.Release()
	h.await(t, http.StatusOK, "")
	h.proxy.Refuse()
	h.expect(t, http.StatusServiceUnavailable, process.CodeBrokerUnavailable)
	h.proxy.Release()
	h.await(t, http.StatusOK, "")
}

// Row 66 of the fault matrix, for a broker that refuses for another reason: its stream has reached a limit.
func TestReadinessReportsRefusedAppends(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	config := eventlog.Streams(1)[0]
	limit := func(messages int64) {
		t.Helper()
		config.MaxMsgs = messages
		if _, err := h.log.JetStream().UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	h.place(t, "a")
	limit(1)
	if err := placeOrder(t.Context(), h.own, "b"); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Fatalf("append to a full stream: got %v, want ErrUnavailable", err)
	}
	h.await(t, http.StatusServiceUnavailable, process.CodeNotStored)
	limit(-1)
	if err := placeOrder(t.Context(), h.own, "b"); err != nil {
		t.Fatal(err)
	}
	h.await(t, http.StatusOK, "")
}

// The log has an event of a newer release.
func TestReadinessReportsANewerRelease(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	e, err := events.Encode(events.Event{ID: "future", Source: "test", Time: time.Now(), Subject: events.PrefixOrder + "a", Revision: 1, Payload: events.OrderExpired{}})
	if err != nil {
		t.Fatal(err)
	}
	e.Header.Set(events.HeaderType, "orders.teleported")
	e.Header.Set(events.HeaderTopology, "99")
	if _, err := h.log.JetStream().PublishMsg(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	h.expect(t, http.StatusServiceUnavailable, process.CodeNewerRelease)
}

// The log lacks an event that the archive lacks too.
func TestReadinessReportsADamagedLog(t *testing.T) {
	t.Parallel()
	h := startHost(t, func(h *hosted) {
		stream := logtest.Replaceable(t, h.log)
		if err := placeOrder(t.Context(), h.log, "a", "b", "c"); err != nil {
			t.Fatal(err)
		}
		if err := stream.DeleteMsg(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
	})
	h.expect(t, http.StatusServiceUnavailable, process.CodeLogDamaged)
}

// runbookRow is a row of the table of conditions.
var runbookRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (degraded|not ready) \\|")

// Row 79 of the fault matrix: the table in the runbook has exactly the conditions that a process reports, each with its effect.
func TestTheRunbookHasEveryCondition(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../deploy/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range runbookRow.FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2]
	}
	_, metrics := startHost(t).fetch(t, "/metrics")
	reported := map[string]string{}
	for _, found := range anyMetric.FindAllStringSubmatch(metrics, -1) {
		reported[found[1]] = strings.ReplaceAll(found[2], "_", " ")
	}
	if diff := cmp.Diff(reported, documented); diff != "" || len(reported) == 0 {
		t.Errorf("conditions (-reported +in the runbook):\n%s", diff)
	}
}

var anyMetric = regexp.MustCompile(`(?m)^tillstream_condition\{code="([a-z_]+)",effect="([a-z_]+)"\} `)
