package inbox

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMailsAreReadFromTheJournal(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), Keep: 10, Logger: failingLogger(t)}
	i := start(t, cfg)
	check := func(when string, newest int) {
		t.Helper()
		want := []Message{}
		for n := newest; n > max(0, newest-cfg.Keep); n-- {
			want = append(want, distinctMail(n))
		}
		got := i.Messages("")
		for n := range got {
			got[n].ReceivedAt = want[n].ReceivedAt
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, mails (-want +got):\n%s", when, diff)
		}
	}
	for newest, when := range map[int]string{7: "before any is dropped", 28: "after the second drop", 40: "right after the fourth drop"} {
		i.Stop()
		if err := os.RemoveAll(cfg.Dir); err != nil {
			t.Fatal(err)
		}
		i = start(t, cfg)
		for n := range newest {
			keepDistinct(t, i, n+1)
		}
		check(when, newest)
		i.Stop()
		check(when+", stopped", newest)
		i = start(t, cfg)
		check(when+", restarted", newest)
		keepDistinct(t, i, newest+1)
		check(when+", restarted and one more", newest+1)
	}
}

func TestInvalidUTF8IsReplaced(t *testing.T) {
	t.Parallel()
	i := start(t, Config{Dir: t.TempDir(), Logger: failingLogger(t)})
	if err := i.keep(Message{To: "ada@example.com", Subject: "\x00\u2028\"\\", Text: "caf\xe9 \xff", HTML: "<&>\r\n\x7f"}); err != nil {
		t.Fatal(err)
	}
	got := i.Messages("")[0]
	if got.Subject != "\x00\u2028\"\\" || got.Text != "caf\ufffd \ufffd" || got.HTML != "<&>\r\n\x7f" {
		t.Errorf("got %+v, want invalid bytes replaced and all others unchanged", got)
	}
}

// Every fifth mail drops old ones from the journal.
func TestMailsAreWholeWhileOthersAreDropped(t *testing.T) {
	t.Parallel()
	i := start(t, Config{Dir: t.TempDir(), Keep: 5, Logger: failingLogger(t)})
	kept := make(chan struct{})
	var reading sync.WaitGroup
	for range 3 {
		reading.Go(func() {
			for ended := false; !ended; {
				select {
				case <-kept:
					ended = true // after one more round
				default:
				}
				checkRun(t, i.Messages("ada@example.com"))
				get(t, i, "/mail", http.StatusOK)
				var answer struct{ Messages []Message }
				if err := json.Unmarshal(get(t, i, "/mail/messages", http.StatusOK).Body.Bytes(), &answer); err != nil {
					t.Errorf("messages as JSON: %v", err)
				}
			}
		})
	}
	for n := range 1000 {
		keepDistinct(t, i, n+1)
	}
	close(kept)
	reading.Wait()
	if got := i.Messages(""); len(got) != 5 || got[0].ID != 1000 {
		t.Errorf("got %d mails, the newest %v; want 5, 1000", len(got), got[0].ID)
	}
}

// checkRun checks that the mails are whole and consecutive, newest first.
func checkRun(t *testing.T, mails []Message) {
	t.Helper()
	if len(mails) > 5 {
		t.Errorf("got %d mails, want at most 5", len(mails))
	}
	for n, m := range mails {
		want := distinctMail(int(mails[0].ID) - n)
		want.ReceivedAt = m.ReceivedAt
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("mail %d of those from %d on (-want +got):\n%s", n, mails[0].ID, diff)
		}
	}
}

func TestUnreadableJournalAnswers500(t *testing.T) {
	t.Parallel()
	i := start(t, Config{Dir: t.TempDir()})
	keepDistinct(t, i, 1)
	if err := os.Truncate(filepath.Join(i.cfg.Dir, journalName), 0); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/mail", "/mail?id=1", "/mail/messages"} {
		get(t, i, path, http.StatusInternalServerError)
	}
	if got := i.Messages(""); len(got) != 0 {
		t.Errorf("got mails %v, want none", got)
	}
}

// An incomplete answer must not be valid JSON. It has begun when more than a buffer of mails precedes the damaged one.
func TestMessagesWithADamagedMailAreNotComplete(t *testing.T) {
	t.Parallel()
	i := start(t, Config{Dir: t.TempDir()})
	keepDistinct(t, i, 1)
	file, err := os.OpenFile(filepath.Join(i.cfg.Dir, journalName), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte("damage"), i.mails[0].at); err != nil {
		t.Fatal(err)
	}
	get(t, i, "/mail/messages", http.StatusInternalServerError)
	for range 10 {
		keepDistinct(t, i, 49)
	}
	if body := get(t, i, "/mail/messages", http.StatusOK).Body.Bytes(); json.Valid(body) {
		t.Errorf("got valid JSON %s, want it incomplete", body)
	}
}

// BenchmarkKeep stores mails as large as the shop's and reports the memory per kept mail.
func BenchmarkKeep(b *testing.B) {
	const keep = 10_000
	i := start(b, Config{Dir: b.TempDir(), Keep: keep})
	m := Message{To: "ada.lovelace@example.com", Subject: "Your order 8F3K2", HTML: strings.Repeat("<td>body</td>", 1000), Text: "Thank you."}
	before := heapInUse()
	kept := 0
	for b.Loop() {
		if err := i.keep(m); err != nil {
			b.Fatal(err)
		}
		kept++
	}
	b.ReportMetric(float64(heapInUse()-before)/float64(min(kept, keep)), "heap-B/mail")
}

// BenchmarkPage shows a full list of mails as large as the shop's.
func BenchmarkPage(b *testing.B) {
	i := start(b, Config{Dir: b.TempDir()})
	for range pageLength {
		if err := i.keep(Message{To: "ada.lovelace@example.com", HTML: strings.Repeat("<td>body</td>", 1000), Text: "Thank you."}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		get(b, i, "/mail", http.StatusOK)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// distinctMail returns a mail that differs from those of other numbers.
func distinctMail(n int) Message {
	return Message{
		ID: uint64(n), From: "shop@tillstream.test", To: "ada@example.com", Subject: fmt.Sprintf("Mail %d", n),
		Text: fmt.Sprintf("This is mail %d.", n), HTML: strings.Repeat(fmt.Sprintf("<p>%d</p>\n", n), n%50), MessageID: fmt.Sprint(n),
	}
}

func keepDistinct(t *testing.T, i *Inbox, n int) {
	t.Helper()
	if err := i.keep(distinctMail(n)); err != nil {
		t.Fatal(err)
	}
}

// failingLogger fails the test when anything is logged.
func failingLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(failingWriter{t}, nil))
}

type failingWriter struct{ t *testing.T }

func (f failingWriter) Write(line []byte) (int, error) {
	f.t.Errorf("logged: %s", line)
	return len(line), nil
}
