package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wneessen/go-mail"

	"tillstream/events/embedded/journal"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestMailIsReceivedAsItWasSent(t *testing.T) {
	t.Parallel()
	i := start(t, Config{Now: func() time.Time { return noon }})
	m := newMail(t, "jürgen.groß@example.com", "Ihre Bestellung 8F3K2 – vielen Dank, Jürgen Groß! Sie hören bald wieder von uns")
	m.SetBodyString(mail.TypeTextPlain, "Schöne Grüße\n\nzwei Töpfe, 12,50 £")
	m.AddAlternativeString(mail.TypeTextHTML, "<p>Schöne <b>Grüße</b></p>"+strings.Repeat("<i>=ü</i>", 40))
	m.SetMessageIDWithValue("order-1.confirmed@tillstream.test")
	send(t, i, m)

	want := []Message{{
		ID:         1,
		From:       "Tillstream Töpferei <shop@tillstream.test>",
		To:         "jürgen.groß@example.com",
		Subject:    "Ihre Bestellung 8F3K2 – vielen Dank, Jürgen Groß! Sie hören bald wieder von uns",
		Text:       "Schöne Grüße\n\nzwei Töpfe, 12,50 £",
		HTML:       "<p>Schöne <b>Grüße</b></p>" + strings.Repeat("<i>=ü</i>", 40),
		MessageID:  "order-1.confirmed@tillstream.test",
		ReceivedAt: noon,
	}}
	if diff := cmp.Diff(want, i.Messages("JÜRGEN.groß@example.com")); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
}

func TestMailsOfAnAddressAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	i := start(t, Config{})
	for n, to := range []string{"ada@example.com", "bob@example.com", "ada@example.com"} {
		send(t, i, textMail(t, to, fmt.Sprintf("Mail %d", n)))
	}
	both := textMail(t, "cy@example.com", "Mail 3")
	if err := both.AddTo("bob@example.com"); err != nil {
		t.Fatal(err)
	}
	send(t, i, both)

	for to, want := range map[string][]string{
		"ada@example.com": {"Mail 2", "Mail 0"},
		"bob@example.com": {"Mail 3", "Mail 1"},
		"cy@example.com":  {"Mail 3"},
		"example.com":     {},
		"":                {"Mail 3", "Mail 2", "Mail 1", "Mail 0"},
	} {
		if diff := cmp.Diff(want, subjects(i.Messages(to))); diff != "" {
			t.Errorf("mails to %q (-want +got):\n%s", to, diff)
		}
	}
}

func TestMailsSurviveARestart(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	first := start(t, cfg)
	send(t, first, textMail(t, "ada@example.com", "Before"))
	before := first.Messages("")
	first.Stop()
	first.Stop() // no effect

	second := start(t, cfg)
	if diff := cmp.Diff(before, second.Messages("")); diff != "" {
		t.Errorf("mails after the restart (-before +after):\n%s", diff)
	}
	send(t, second, textMail(t, "ada@example.com", "After"))
	if got := second.Messages("")[0].ID; got != 2 {
		t.Errorf("number of the next mail: got %d, want 2", got)
	}
}

func TestHalfWrittenMailIsCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, Config{Dir: dir})
	send(t, first, textMail(t, "ada@example.com", "Whole"))
	first.Stop()
	appendTo(t, filepath.Join(dir, journalName), `{"id":2,"subject":"Ha`)

	second := start(t, Config{Dir: dir})
	send(t, second, textMail(t, "ada@example.com", "Next"))
	second.Stop()
	if diff := cmp.Diff([]string{"Next", "Whole"}, subjects(start(t, Config{Dir: dir}).Messages(""))); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

func TestOldestMailsAreDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := start(t, Config{Dir: dir, Keep: 5})
	for n := range 23 {
		send(t, i, textMail(t, "ada@example.com", fmt.Sprint(n)))
	}
	want := []string{"22", "21", "20", "19", "18"}
	if diff := cmp.Diff(want, subjects(i.Messages(""))); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	i.Stop()
	written, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(written), "\n"); lines > 10 {
		t.Errorf("journal: got %d lines, want at most 10", lines)
	}
	if diff := cmp.Diff(want, subjects(start(t, Config{Dir: dir, Keep: 5}).Messages(""))); diff != "" {
		t.Errorf("mails after the restart (-want +got):\n%s", diff)
	}
}

func TestStartOnAnAddressInUseFails(t *testing.T) {
	t.Parallel()
	taken := start(t, Config{}).Addr()
	if _, err := Start(Config{Addr: taken}); !errors.Is(err, ErrAddrInUse) || !strings.Contains(err.Error(), "address "+taken+" is in use") {
		t.Errorf("second inbox on %s: got %v, want ErrAddrInUse", taken, err)
	}
}

func TestSecondInboxOnADirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, Config{Dir: dir})
	if _, err := Start(Config{Dir: dir}); !errors.Is(err, journal.ErrInUse) || !strings.Contains(err.Error(), filepath.Join(dir, journalName)) {
		t.Errorf("second inbox on %s: got %v, want ErrInUse that names the journal", dir, err)
	}
}

func TestUnreadableMailsAreSkipped(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir()}
	const escaped = `{"id":1,"from":"","to":"ada@example.com","subject":"\u003cOld\u003e","text":"","html":"","message_id":"","received_at":"2026-03-04T12:00:00Z"}`
	if err := os.WriteFile(filepath.Join(cfg.Dir, journalName), []byte("garbage\n"+escaped+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := start(t, cfg)
	send(t, i, textMail(t, "ada@example.com", "New"))
	if diff := cmp.Diff([]string{"New", "<Old>"}, subjects(i.Messages(""))); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

func TestManyMailsArriveOverOneConnection(t *testing.T) {
	t.Parallel()
	i := start(t, Config{Dir: t.TempDir()})
	const clients, each = 4, 50
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			mails := make([]*mail.Msg, each)
			for n := range mails {
				mails[n] = textMail(t, fmt.Sprintf("client%d@example.com", c), fmt.Sprint(n))
			}
			if err := client(t, i).DialAndSendWithContext(t.Context(), mails...); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := len(i.Messages("")); got != clients*each {
		t.Errorf("got %d mails, want %d", got, clients*each)
	}
}

// BenchmarkMail sends mails with text and HTML over one connection to an inbox with a journal on disk.
func BenchmarkMail(b *testing.B) {
	i := start(b, Config{Dir: b.TempDir()})
	c := client(b, i)
	if err := c.DialWithContext(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := c.Send(textMail(b, "ada@example.com", "Your order")); err != nil {
			b.Fatal(err)
		}
	}
}

func start(t testing.TB, cfg Config) *Inbox {
	t.Helper()
	i, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Stop)
	return i
}

func newMail(t testing.TB, to, subject string) *mail.Msg {
	t.Helper()
	m := mail.NewMsg()
	if err := errors.Join(m.FromFormat("Tillstream Töpferei", "shop@tillstream.test"), m.To(to)); err != nil {
		t.Fatal(err)
	}
	m.Subject(subject)
	m.SetMessageID()
	return m
}

func textMail(t testing.TB, to, subject string) *mail.Msg {
	t.Helper()
	m := newMail(t, to, subject)
	m.SetBodyString(mail.TypeTextPlain, "Thank you.")
	m.AddAlternativeString(mail.TypeTextHTML, "<p>Thank you.</p>")
	return m
}

func client(t testing.TB, i *Inbox) *mail.Client {
	t.Helper()
	host, port, err := net.SplitHostPort(i.Addr())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	c, err := mail.NewClient(host, mail.WithPort(number), mail.WithTLSPolicy(mail.NoTLS), mail.WithTimeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t testing.TB, i *Inbox, m *mail.Msg) {
	t.Helper()
	if err := client(t, i).DialAndSendWithContext(context.Background(), m); err != nil {
		t.Fatal(err)
	}
}

func subjects(mails []Message) []string {
	found := []string{}
	for _, m := range mails {
		found = append(found, m.Subject)
	}
	return found
}

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStopRightAfterStartClosesTheListener(t *testing.T) {
	t.Parallel()
	for range 200 { // the server may or may not serve its listener yet
		i, err := Start(Config{})
		if err != nil {
			t.Fatal(err)
		}
		i.Stop()
		if conn, err := net.Dial("tcp", i.Addr()); err == nil {
			t.Fatal(errors.Join(errors.New("dial a stopped inbox: got a connection, want an error"), conn.Close()))
		}
	}
}
