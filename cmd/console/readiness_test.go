package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/cmd/internal/console"
	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events/api"
)

// startWorker serves /readyz as a worker does, on an address of this machine, and returns the URL.
func startWorker(t *testing.T, vital, degraded error) string {
	t.Helper()
	mux := api.NewMux()
	answers := func(err error) func() error { return func() error { return err } }
	api.Health(mux, api.Readiness{Vital: answers(vital), Degraded: answers(degraded)}, prometheus.NewRegistry(), nil)
	server := httptest.NewServer(api.Routes(mux))
	t.Cleanup(server.Close)
	return server.URL
}

// The console tells of every process whether it is ready, why not, and whether it answers at all. Its own /readyz has the same codes.
func TestReadinessOfProcesses(t *testing.T) {
	t.Parallel()
	paused := errors.Join(process.Condition{Code: process.CodeLanePaused, Err: errors.New("orders.projection: paused")}, process.Condition{Code: process.CodeDeadLetters, Err: errors.New("open: orders 3")})
	full := process.Condition{Code: process.CodeDiskFull, Err: errors.New("no space left")}
	noReadyz := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(noReadyz.Close)
	at := []string{startWorker(t, nil, nil), startWorker(t, nil, paused), startWorker(t, full, nil), "http://" + proc.MustFreeAddr(t), noReadyz.URL, "http://name.invalid:1"}
	list := make([]string, len(at))
	host := make([]string, len(at))
	for i, url := range at {
		list[i], host[i] = "orders="+url+"/", "orders at "+strings.TrimPrefix(url, "http://")
	}
	p, err := newProcesses(list, "")
	if err != nil {
		t.Fatal(err)
	}
	p.ask(t.Context())
	got := p.readiness(t.Context())
	for i, problem := range map[int]string{3: "refused", 4: "404", 5: "name.invalid"} {
		if len(got[i].Problems) != 1 || !strings.HasPrefix(got[i].Problems[0], "it does not answer: ") || !strings.Contains(got[i].Problems[0], problem) {
			t.Errorf("%s: got %q, want that it does not answer, and %s", list[i], got[i].Problems, problem)
		}
		got[i].Problems = nil
	}
	gone := []string{codeUnreachable}
	want := []console.Process{{Name: host[0], Ready: true}, {Name: host[1], Ready: true, Problems: []string{"lane_paused: orders.projection: paused", "dead_letters: open: orders 3"}, Codes: []string{"lane_paused", "dead_letters"}},
		{Name: host[2], Problems: []string{"disk_full: no space left"}, Codes: []string{"disk_full"}}, {Name: host[3], Codes: gone}, {Name: host[4], Codes: gone}, {Name: host[5], Codes: gone}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("readiness (-want +got):\n%s", diff)
	}
	checkOwnReadyz(t, p)
}

// checkOwnReadyz checks the console's /readyz, which is degraded and serves.
func checkOwnReadyz(t *testing.T, p *processes) {
	t.Helper()
	mux := api.NewMux()
	api.Health(mux, api.Readiness{Vital: func() error { return nil }, Degraded: p.degraded}, prometheus.NewRegistry(), nil)
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/readyz", nil)
	request.RemoteAddr = "127.0.0.1:1"
	api.Routes(mux).ServeHTTP(answer, request)
	var body struct {
		Status, Reason string
		Codes          []string
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if want := []string{"lane_paused", "dead_letters", "disk_full", codeUnreachable, codeUnreachable, codeUnreachable}; answer.Code != http.StatusOK || body.Status != "degraded" || !cmp.Equal(want, body.Codes) {
		t.Errorf("/readyz: got %d %s with %q, want 200 degraded with %q", answer.Code, body.Status, body.Codes, want)
	}
	if !strings.Contains(body.Reason, "disk_full: orders at ") || !strings.Contains(body.Reason, "no space left") {
		t.Errorf("/readyz: got the reason %q, want one with the process and what is wrong", body.Reason)
	}
}

// A name that has several addresses, as a headless service of Kubernetes has, stands for a process at each.
func TestReadinessOfEveryAddressOfAName(t *testing.T) {
	t.Parallel()
	p, err := newProcesses([]string{"orders=" + startWorker(t, nil, nil)}, "")
	if err != nil {
		t.Fatal(err)
	}
	at := *p.places[0].url
	at.Host = "orders-processes.invalid:" + at.Port()
	first, second := p.askProcess(withAddress(t.Context(), netip.MustParseAddr("127.0.0.1")), "first", &at), p.askProcess(withAddress(t.Context(), netip.MustParseAddr("127.0.0.2")), "second", &at)
	if !first.Ready || second.Ready || !cmp.Equal(second.Codes, []string{codeUnreachable}) {
		t.Errorf("got %+v and %+v, want the first ready, and the second not to answer", first, second)
	}
}

func TestProcessesAreThoseOfTheAPIsUnlessTheyAreListed(t *testing.T) {
	t.Parallel()
	s := settings{InventoryURL: "http://a:1, http://b:1", OrdersURL: "http://c:1,", PaymentsURL: "http://d:1", NotificationsURL: "http://e:1"}
	want := []string{"inventory=http://a:1", "inventory=http://b:1", "orders=http://c:1", "payments=http://d:1", "notifications=http://e:1"}
	if diff := cmp.Diff(want, s.readyURLs()); diff != "" {
		t.Errorf("default (-want +got):\n%s", diff)
	}
	if s.ReadyURLs = []string{"storefront=http://f:1"}; !cmp.Equal(s.ReadyURLs, s.readyURLs()) {
		t.Errorf("got %q, want those that are listed", s.readyURLs())
	}
	for _, bad := range []string{"", "orders", "http://a:1", "orders=", "orders=a:1", "=http://a:1", "orders=ftp://a:1", "orders=http://a:1/x", "orders=http://me:secret@a:1"} {
		if _, err := newProcesses([]string{bad}, ""); err == nil || !strings.Contains(err.Error(), "READY_URLS") {
			t.Errorf("%q: got %v, want an error that names READY_URLS", bad, err)
		}
	}
}
