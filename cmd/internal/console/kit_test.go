package console

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// world is a console on a real log and a real database, with a member of staff who has signed in.
type world struct {
	t         testing.TB
	URL       string // of the console, without a path
	Log       *eventlog.Log
	Reader    *replay.Reader
	DB        *mongo.Database
	Client    *http.Client // signed in as mira; does not follow redirects
	staff     *fakeStaff
	config    Config
	console   *console
	stop      func() // ends the console
	js        jetstream.JetStream
	revisions map[string]uint64
	looks     *browsertest.Tab // of checkLooks
}

// open starts a console. change may change its configuration.
func open(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	return openOn(t, logtest.Server(t), change...)
}

// openOn starts a console on a broker.
func openOn(t testing.TB, server *embedded.NATS, change ...func(*Config)) *world {
	t.Helper()
	l := logtest.OpenOn(t, server)
	reader, err := replay.On(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, Log: l, Reader: reader, DB: projecttest.Database(t), staff: newFakeStaff(), js: logtest.JetStream(t, logtest.Connect(t, server)),
		revisions: map[string]uint64{}}
	w.config = Config{Access: w.staff, Staff: w.staff, Log: reader, DB: w.DB, API: http.NotFoundHandler(), Dispatcher: worker.NewDispatcher(),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, f := range change {
		f(&w.config)
	}
	w.start()
	w.Client = w.signIn("mira")
	return w
}

// start starts the console as a process does. It runs until stop is called, or the test ends. Sessions outlive it.
func (w *world) start() {
	w.t.Helper()
	handler, err := New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan struct{})
	go func() { handler.Run(running); close(ended) }()
	site := httptest.NewUnstartedServer(handler)
	site.Config.BaseContext = func(net.Listener) context.Context { return running }
	site.Start()
	w.console, w.URL = handler.console, site.URL
	w.stop = sync.OnceFunc(func() { stop(); site.Close(); <-ended })
	w.t.Cleanup(w.stop)
}

// signIn returns a client with a session.
func (w *world) signIn(name string) *http.Client {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, body := w.send(client, "POST", "/ops/signin", url.Values{"name": {name}, "password": {password}})
	if answer.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("sign in: got %s, want a redirect:\n%s", answer.Status, body)
	}
	return client
}

// send sends a request with a form, nil for none, and returns the answer and its body.
func (w *world) send(client *http.Client, method, path string, form url.Values) (*http.Response, string) {
	w.t.Helper()
	request := w.request(method, path, form)
	answer, err := client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer, string(body)
}

// request returns a request with a form, nil for none.
func (w *world) request(method, path string, form url.Values) *http.Request {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return request
}

// get returns a page, which must have the status 200.
func (w *world) get(path string) string {
	w.t.Helper()
	answer, body := w.send(w.Client, "GET", path, nil)
	if answer.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: got %s, want 200:\n%s", path, answer.Status, body)
	}
	return body
}

// post sends a form and returns the page after it, which shows the result, or the page that says that it is forbidden.
func (w *world) post(path string, form url.Values) string {
	w.t.Helper()
	answer, body := w.send(w.Client, "POST", path, form)
	if answer.StatusCode == http.StatusForbidden {
		return body
	}
	if answer.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("POST %s: got %s, want a redirect:\n%s", path, answer.Status, body)
	}
	return w.get(answer.Header.Get("Location"))
}

// publish appends an event to the log, as the domain of its subject does, and returns its sequence. The zero fields are completed.
func (w *world) publish(e events.Event) uint64 {
	w.t.Helper()
	w.revisions[e.Subject]++
	e.Revision, e.Source = w.revisions[e.Subject], "test"
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	msg, err := events.Encode(e)
	if err != nil {
		w.t.Fatal(err)
	}
	ack, err := w.js.PublishMsg(w.t.Context(), msg)
	if err != nil {
		w.t.Fatal(err)
	}
	return ack.Sequence
}

// tab opens a browser in which mira has signed in, as wide as a phone (390) or a desktop (1280).
func (w *world) tab(width int64) *browsertest.Tab {
	w.t.Helper()
	return w.tabOf("mira", width)
}

// tabOf opens a browser in which a member of staff has signed in.
func (w *world) tabOf(name string, width int64) *browsertest.Tab {
	w.t.Helper()
	tab := browsertest.Open(w.t, width)
	tab.Visit(w.URL + "/ops/signin")
	tab.Fill("#name", name)
	tab.Fill("#password", password)
	tab.Click("main button")
	tab.Until("location.pathname === '/ops'")
	return tab
}

// password is that of every member of the fake staff.
const password = "correct horse battery staple"

// fakeStaff takes the place of the sign-in service: everyone has the same password, and the role is the name, or admin.
type fakeStaff struct {
	mu       sync.Mutex
	sessions map[string]api.Principal
}

func newFakeStaff() *fakeStaff { return &fakeStaff{sessions: map[string]api.Principal{}} }

// Staff implements api.StaffAccess.
func (f *fakeStaff) Staff(authorization string) (api.Principal, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.sessions[api.Bearer(authorization)]
	return p, ok
}

// SignIn implements SignInService.
func (f *fakeStaff) SignIn(_ context.Context, name, given, _, _ string) (string, time.Time, error) {
	if given != password {
		return "", time.Time{}, staff.ErrRefused
	}
	role := api.Admin
	for _, r := range api.Roles {
		if string(r) == name {
			role = r
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions["session-of-"+name] = api.Principal{Actor: events.ActorStaff + name, Permissions: role.Permissions()}
	return "session-of-" + name, time.Now().Add(time.Hour), nil
}

// SignOut implements SignInService.
func (f *fakeStaff) SignOut(_ context.Context, token, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, token)
	return nil
}

// Accept implements SignInService.
func (f *fakeStaff) Accept(_ context.Context, link, _, _ string) (string, error) {
	if link != "one-time" {
		return "", staff.ErrRefused
	}
	return "mira", nil
}

// counted waits until the console has counted the whole log, and reads lanes and dead letters again.
func (w *world) counted() {
	w.t.Helper()
	last, err := w.Reader.Last(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	projecttest.Await(w.t, "the console has counted the log", func() bool {
		w.console.tally.mu.Lock()
		defer w.console.tally.mu.Unlock()
		return w.console.tally.seen >= last
	})
	w.console.gauges.sample(w.t.Context())
}

// ChangePassword implements SignInService.
func (f *fakeStaff) ChangePassword(_ context.Context, _, old, _, _ string) error {
	if old != password {
		return staff.ErrRefused
	}
	return nil
}

// NewTOTP implements SignInService.
func (f *fakeStaff) NewTOTP(context.Context, string) (secret, address string, err error) {
	return "JBSWY3DPEHPK3PXP", "otpauth://totp/Tillstream:mira?secret=JBSWY3DPEHPK3PXP&issuer=Tillstream", nil
}

// SetTOTP implements SignInService.
func (f *fakeStaff) SetTOTP(_ context.Context, _, _, code, _ string) error {
	if code != "123456" {
		return staff.ErrRefused
	}
	return nil
}
