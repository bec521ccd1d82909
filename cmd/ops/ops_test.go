package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/embedded"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// ops runs one command line and returns what it wrote. No line of an answer is wider than a terminal of 80 columns.
func ops(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, err bytes.Buffer
	code = run(ctx, args, &terminal{out: &out, err: &err})
	if !slices.Contains(args, "--json") {
		for line := range strings.Lines(out.String()) {
			if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > columns {
				t.Errorf("ops %s: a line is %d columns wide:\n%s", strings.Join(args, " "), width, line)
			}
		}
	}
	return code, out.String(), err.String()
}

// words takes out how an answer is broken into lines and columns.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// broker is a shop's log that a test writes by hand.
type broker struct {
	t         *testing.T
	url       string
	log       *log.Log
	js        jetstream.JetStream
	server    *embedded.NATS
	revisions map[string]uint64
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	js, err := jetstream.New(logtest.Connect(t, server))
	if err != nil {
		t.Fatal(err)
	}
	return &broker{t: t, url: server.URL(), log: l, js: js, server: server, revisions: map[string]uint64{}}
}

func (b *broker) say(id, subject, order, cause string, fact events.Payload) {
	b.t.Helper()
	b.revisions[subject]++
	msg, err := events.Encode(events.Event{ID: id, Source: "test", Time: time.Now(), Subject: subject, Revision: b.revisions[subject],
		CorrelationID: order, CausationID: cause, Payload: fact})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.js.PublishMsg(b.t.Context(), msg); err != nil {
		b.t.Fatal(err)
	}
}

func gbp(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }

// refused is an order that found no stock: the shortest whole story.
func (b *broker) refused(id string) {
	b.say(id+"-1", "orders."+id, id, "", events.OrderPlaced{OrderID: id, Number: "8F3K2-MQD7A", Total: gbp(1250),
		Lines: []events.OrderLine{{SKU: "MUG", Quantity: 2}}})
	short := []events.Shortage{{SKU: "MUG", Requested: 2, Available: 1}}
	b.say(id+"-2", "inventory.reservations."+id, id, id+"-1", events.ReservationRefused{OrderID: id, Short: short})
	b.say(id+"-3", "orders."+id, id, id+"-2", events.OrderRejected{OrderOutcome: events.OrderOutcome{OrderID: id}, Reason: events.RejectedNoStock, Short: short})
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"TILLSTREAM_SHOP", "NATS_URL", "OPS_URL", "STOREFRONT_URL"} {
		t.Setenv(name, "")
	}
	tests := []struct {
		args string
		code int
		says string // on stdout when it was asked for, else on stderr
	}{
		{"--help", exitOK, "verify"},
		{"verify --help", exitOK, "Exit codes"},
		{"timeline --help", exitOK, "Causes stand before their effects"},
		{"", exitFailed, "see ops --help"},
		{"sell", exitFailed, "see ops --help"},
		{"verify", exitFailed, "cmd/shop --ready-file shop.json"},
		{"lag --shop nowhere.json", exitFailed, "nowhere.json"},
		{"lag --nats nats://127.0.0.1:1", exitFailed, "is it running?"},
		{"orders --nats nats://127.0.0.1:1", exitFailed, "pass --ops"},
		{"orders --ops http://127.0.0.1:1", exitFailed, "pass --ops-token"},
		{"orders --ops http://127.0.0.1:1 --ops-token x", exitFailed, "is the shop running?"},
		{"orders --limit 0", exitFailed, "want 1 or more"},
		{"orders --status settled --ops http://127.0.0.1:1 --ops-token x", exitFailed, "paid_late"},
		{"tail --domain nowhere", exitFailed, "orders, customers, inventory"},
		{"tail --type [", exitFailed, "--type"},
		{"tail --count=-1 --nats nats://127.0.0.1:1", exitFailed, "--count -1"},
		{"tail --since=-5m --nats nats://127.0.0.1:1", exitFailed, "--since -5m"},
		{"verify --settle=-1s --nats nats://127.0.0.1:1", exitFailed, "--settle -1s"},
		{"verify --wait=-1s --nats nats://127.0.0.1:1", exitFailed, "--wait -1s"},
		{"verify --nats nats://127.0.0.1:1 --acknowledged nowhere", exitFailed, "nowhere"},
		{"deadletters show x", exitFailed, "see ops --help"},
		{"pause --help", exitOK, "outlives restarts"},
		{"pause", exitFailed, "see ops --help"},
		{"backup --help", exitOK, "manifest.json"},
		{"backup", exitFailed, "see ops --help"},
		{"backup x --nats nats://127.0.0.1:1", exitFailed, "is it running?"},
		{"restore --help", exitOK, "no process at work"},
		{"restore nowhere --nats nats://127.0.0.1:1", exitFailed, "nowhere"},
		{"pause x --for -1s --nats nats://127.0.0.1:1", exitFailed, "--for"},
	}
	for _, test := range tests {
		code, stdout, stderr := ops(t, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stdout+stderr, test.says) {
			t.Errorf("ops %s: exit %d, want %d and %q\n%s%s", test.args, code, test.code, test.says, stdout, stderr)
		}
		if (code == exitOK) != (stderr == "") {
			t.Errorf("ops %s: wrote to the wrong stream:\n%s\n%s", test.args, stdout, stderr)
		}
	}
}

var moment = regexp.MustCompile(`\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} \S+|\+\d+\.\d{3}s|\d{4}-\d{2}-\d{2} \d{2}:\d{2}`)

func TestTimeline(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.refused("o1")
	for _, name := range []string{"o1", "8F3K2-MQD7A", "8f3k2-mqd7a"} {
		code, stdout, stderr := ops(t, "timeline", name, "--nats", b.url)
		shown := words(moment.ReplaceAllString(stdout, "T"))
		if code != exitOK || !strings.HasPrefix(shown, "order o1, from T # TIME CAUSE SEQ EVENT, AND WHAT IT SAYS 1 ") {
			t.Fatalf("%s: exit %d\n%s%s", name, code, stdout, stderr)
		}
		for _, want := range []string{"1 T 1 orders.placed 8F3K2-MQD7A: 2 × MUG for 12.50 GBP, to be paid by 00:00:00 ",
			" 2 T ← 1 2 inventory.reservation_refused nothing held: MUG wants 2, has 1 ",
			" 3 T ← 2 3 orders.rejected because out_of_stock: MUG wants 2, has 1"} {
			if !strings.Contains(shown, want) {
				t.Errorf("does not say %q:\n%s", want, stdout)
			}
		}
	}
	code, stdout, _ := ops(t, "timeline", "o1", "--json", "--nats", b.url)
	var history struct {
		OrderID string `json:"order_id"`
		Entries []struct {
			Cause   int
			Type    string
			Payload map[string]any
		}
	}
	if err := json.Unmarshal([]byte(stdout), &history); code != exitOK || err != nil || len(history.Entries) != 3 ||
		history.Entries[2].Cause != 2 || history.Entries[0].Payload["number"] != "8F3K2-MQD7A" {
		t.Errorf("exit %d, %v: %s", code, err, stdout)
	}
	for _, name := range []string{"nobody", "a.b"} {
		if code, _, stderr := ops(t, "timeline", name, "--nats", b.url); code != exitFailed || !strings.Contains(stderr, name) {
			t.Errorf("%s: exit %d, %s", name, code, stderr)
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.refused("o1")
	b.refused("o2")
	types := func(args ...string) (types []string) {
		t.Helper()
		code, stdout, stderr := ops(t, append([]string{"tail", "--since", "1h", "--json", "--nats", b.url}, args...)...)
		if code != exitOK {
			t.Fatal(stderr)
		}
		for line := range strings.Lines(stdout) {
			var e struct{ Type, Subject string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			types = append(types, e.Subject+" "+e.Type)
		}
		return types
	}
	if diff := cmp.Diff([]string{"orders.o1 orders.placed", "orders.o1 orders.rejected", "orders.o2 orders.placed"}, types("--domain", "orders", "--count", "3")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"orders.o2 orders.rejected"}, types("--order", "o2", "--type", "orders.rej*", "--count", "1")); diff != "" {
		t.Error(diff)
	}
	code, stdout, _ := ops(t, "tail", "--since", "1h", "--count", "1", "--domain", "inventory", "--nats", b.url)
	if code != exitOK || !strings.Contains(words(stdout), "nothing held: MUG wants 2, has 1") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// What comes while a tail runs is shown: it begins where the log ends when it starts.
func TestTailFollows(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.refused("old")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := &signalWriter{at: "following", reached: make(chan struct{})}
	var out bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"tail", "--count", "1", "--domain", "orders", "--nats", b.url}, &terminal{out: &out, err: started})
	}()
	<-started.reached
	b.refused("new")
	if code := <-done; code != exitOK || !strings.Contains(out.String(), "orders.new") {
		t.Errorf("exit %d: %s", code, out.String())
	}
}

// signalWriter closes a channel when a text is written.
type signalWriter struct {
	at      string
	reached chan struct{}
}

func (w *signalWriter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.at) {
		close(w.reached)
	}
	return len(p), nil
}

func TestDeadLettersAndVerify(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	code, stdout, _ := ops(t, "deadletters", "--nats", b.url)
	if code != exitOK || stdout != "no open dead letters\n" {
		t.Errorf("empty: exit %d: %s", code, stdout)
	}
	code, stdout, stderr := ops(t, "verify", "--nats", b.url)
	if code != exitOK || !strings.Contains(stdout, "every promise is kept") || !strings.Contains(stdout, "no database was given") {
		t.Errorf("clean: exit %d: %s%s", code, stdout, stderr)
	}
	var expected []string
	for i := range 3 {
		// Of a type that nobody knows, so that the checks make nothing of it.
		ack, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: "orders.x", Header: nats.Header{events.HeaderType: {"orders.blessed"}}, Data: []byte("gar\x1b[31mbage")})
		if err != nil {
			t.Fatal(err)
		}
		expected = append(expected, fmt.Sprintf("--expect-dead-letter=inventory:%d", ack.Sequence))
		b.say(fmt.Sprint(i), fmt.Sprintf("deadletters.inventory.%d", ack.Sequence), "", "", events.DeadLettered{Worker: "inventory", Sequence: ack.Sequence,
			Subject: "orders.x", Type: "orders.blessed", Error: "bad payload", Fingerprint: "abc123"})
	}
	code, stdout, stderr = ops(t, "deadletters", "--limit", "2", "--nats", b.url)
	shown := moment.ReplaceAllString(words(stdout), "T")
	if code != exitOK || !strings.Contains(shown, "3 abc123 inventory T bad payload") || !strings.Contains(shown, "3 T inventory abc123 3 orders.blessed on orders.x") ||
		strings.Contains(shown, "abc123 1 orders") || !strings.Contains(stderr, "1 older") {
		t.Errorf("list: exit %d: %s%s", code, stdout, stderr)
	}
	code, stdout, _ = ops(t, "deadletters", "show", "2", "--nats", b.url)
	if code != exitOK || !strings.Contains(words(stdout), "lane inventory event 2 ") || !strings.Contains(stdout, "gar [31mbage") {
		t.Errorf("show: exit %d: %q", code, stdout)
	}
	if code, _, stderr = ops(t, "deadletters", "show", "99", "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "no dead letter has the number 99") {
		t.Errorf("show nothing: exit %d: %s", code, stderr)
	}
	if code, _, stderr = ops(t, "deadletters", "show", "0", "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "the number 0; ops deadletters list") {
		t.Errorf("show the one before the first: exit %d: %s", code, stderr)
	}
	if code, stdout, _ = ops(t, "verify", "--nats", b.url); code != exitOff || !strings.Contains(words(stdout), "inventory could not handle orders.x at 1") {
		t.Errorf("verify: exit %d: %s", code, stdout)
	}
	var report struct {
		OK       bool
		Findings []any
	}
	code, stdout, _ = ops(t, append([]string{"verify", "--json", "--nats", b.url}, expected...)...)
	if err := json.Unmarshal([]byte(stdout), &report); code != exitOK || err != nil || !report.OK || report.Findings == nil {
		t.Errorf("expected: exit %d, %v: %s", code, err, stdout)
	}
}

// A dead letter whose event the log has lost is shown all the same.
func TestADeadLetterWithoutItsEvent(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.say("1", "deadletters.inventory.17", "", "", events.DeadLettered{Worker: "inventory", Sequence: 17, Subject: "orders.x", Error: "bad payload"})
	if code, stdout, stderr := ops(t, "deadletters", "show", "1", "--nats", b.url); code != exitOK || !strings.Contains(stdout, "the log has no event at 17") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if code, stdout, _ := ops(t, "deadletters", "show", "1", "--json", "--nats", b.url); code != exitOK || strings.Contains(stdout, `"event": {`) {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// A file of acknowledged ids may end in the middle of a line: its writer was killed, too.
func TestVerifyReadsAcknowledged(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.refused("o1")
	file := filepath.Join(t.TempDir(), "acknowledged")
	if err := os.WriteFile(file, []byte("o1\n\nlost\nhalf-an-i"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ := ops(t, "verify", "--acknowledged", file, "--nats", b.url)
	if code != exitOff || !strings.Contains(words(stdout), "order lost: was answered 201") || strings.Contains(stdout, "half") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// Who says that an order may take no time to settle means it: what has moved a moment ago and is half done is named.
func TestVerifySettlesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.say("1", events.PrefixPayment+"o1", "o1", "", events.PaymentRequested{OrderID: "o1", Amount: gbp(1250)})
	if code, stdout, _ := ops(t, "verify", "--wait", "0s", "--nats", b.url); code != exitOK || !strings.Contains(stdout, "1 on their way") {
		t.Errorf("within a minute: exit %d: %s", code, stdout)
	}
	if code, stdout, _ := ops(t, "verify", "--wait", "0s", "--settle", "0s", "--nats", b.url); code != exitOff || !strings.Contains(words(stdout), "order o1: is not in the log") {
		t.Errorf("at once: exit %d: %s", code, stdout)
	}
}
