package notifications_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

func startInbox(t testing.TB) *inbox.Inbox {
	t.Helper()
	i, err := inbox.Start(inbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Stop)
	return i
}

func mailerTo(t testing.TB, addr string, deadline time.Duration) *notifications.Mailer {
	t.Helper()
	m, err := notifications.NewMailer("smtp://"+addr+"?tls=none", "", deadline)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func testMail(id string) notifications.Mail {
	return notifications.Mail{
		From: netmail.Address{Name: "Shop", Address: "orders@shop.example"}, To: netmail.Address{Name: "Zoë Ångström", Address: "zoe@example.com"},
		MessageID: id + "@shop.example", Subject: "Bestellung bestätigt", Text: "Grüße: -1\u202f234,50\u00a0€, \u200f\u200e-12.50\n", HTML: "<p>Grüße</p>", Language: "de",
		Date: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
	}
}

func startNothing() error { return nil }

func TestMailArrivesAsWritten(t *testing.T) {
	t.Parallel()
	box := startInbox(t)
	if err := mailerTo(t, box.Addr(), time.Minute).Send(t.Context(), testMail("m1"), startNothing); err != nil {
		t.Fatal(err)
	}
	got := box.Messages("zoe@example.com")
	if len(got) != 1 {
		t.Fatalf("got %d mails, want 1", len(got))
	}
	m := got[0]
	if m.Subject != "Bestellung bestätigt" || strings.TrimSpace(m.Text) != "Grüße: -1\u202f234,50\u00a0€, \u200f\u200e-12.50" || !strings.Contains(m.HTML, "<p>Grüße</p>") ||
		m.MessageID != "m1@shop.example" || !strings.Contains(m.From, "orders@shop.example") {
		t.Errorf("got mail %+v, want subject, parts, id and sender as sent", m)
	}
}

func TestMailHeadersAreCompleteAndSafe(t *testing.T) {
	t.Parallel()
	addr, received := startScripted(t, acceptAll(nil))
	evil := testMail("m1")
	evil.Subject = "Hello\r\nBcc: victim@example.com"
	evil.To.Name = "Zoë\r\nX-Evil: 1"
	evil.From.Name = "Shop\nX-Evil: 2"
	if err := mailerTo(t, addr, time.Minute).Send(t.Context(), evil, startNothing); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(received(), "\n\n")
	for _, want := range []string{"Message-ID: <m1@shop.example>", "Subject: Hello Bcc: victim@example.com", "Auto-Submitted: auto-generated", "Content-Language: de", "Content-Type: multipart/alternative", "MIME-Version: 1.0", "Date: Sat, 21 Nov 2026 12:00:00 +0000"} {
		if !strings.Contains(head, want) {
			t.Errorf("headers: want %q, got\n%s", want, head)
		}
	}
	for _, line := range strings.Split(head, "\n") {
		for _, bad := range []string{"Bcc:", "X-Evil:", "List-", "User-Agent:", "X-Mailer:"} {
			if strings.HasPrefix(line, bad) {
				t.Errorf("got header %q, want none of its kind", line)
			}
		}
	}
	if strings.Count(received(), "RCPT TO") != 1 {
		t.Errorf("want one recipient, got\n%s", received())
	}
}

func TestInvalidAddressesAreRefused(t *testing.T) {
	t.Parallel()
	addr, received := startScripted(t, acceptAll(nil))
	m := mailerTo(t, addr, time.Minute)
	for _, to := range []string{"", "ada", "ada@", "@example.com", "a@b.example, c@d.example", "Ada <ada@example.com>", "ada@example.com\r\nRCPT TO:<x@y.example>", "a b@example.com"} {
		bad := testMail("m1")
		bad.To.Address = to
		if err := m.Send(t.Context(), bad, startNothing); !errors.Is(err, notifications.ErrRefused) {
			t.Errorf("%q: got %v, want ErrRefused", to, err)
		}
	}
	if received() != "" {
		t.Errorf("the server received lines, want none:\n%s", received())
	}
}

// Send classifies a reply by its stage, and calls begin only after the recipient is accepted.
func TestEachReplyAtEachStageIsClassified(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step, answer string
		want         error // nil: deferred
		begun        bool
	}{
		"NoGreeting":           {"EHLO", "554 go away", notifications.ErrShopRefused, false},
		"SenderBusy":           {"MAIL", "421 closing", nil, false},
		"SenderRefused":        {"MAIL", "550 not you", notifications.ErrShopRefused, false},
		"OurCredentials":       {"MAIL", "530 authenticate first", notifications.ErrShopRefused, false},
		"Greylisted":           {"RCPT", "450 try later", nil, false},
		"NoSuchMailbox":        {"RCPT", "550 no such mailbox", notifications.ErrRefused, false},
		"NoRelay":              {"RCPT", "554 5.7.1 <zoe@example.com>: Relay access denied", notifications.ErrShopRefused, false},
		"HangsUpAtRecipient":   {"RCPT", "hang up", nil, false},
		"DataBusy":             {"DATA", "451 disk full", nil, true},
		"DataRefused":          {"DATA", "554 no", notifications.ErrRefused, true},
		"ContentBusy":          {".", "451 scanner away", nil, true},
		"ContentRefused":       {".", "550 looks like spam", notifications.ErrRefused, true},
		"NotVerified":          {".", "554 Message rejected: Email address is not verified.", notifications.ErrShopRefused, true},
		"HangsUpAfterTheMail":  {".", "hang up", notifications.ErrUnanswered, true},
		"SilentAfterTheMail":   {".", "", notifications.ErrUnanswered, true},
		"NonsenseAfterTheMail": {".", "what?", notifications.ErrUnanswered, true},
		"SilentAtRecipient":    {"RCPT", "", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := startScripted(t, acceptAll(map[string]string{c.step: c.answer}))
			begun := false
			err := mailerTo(t, addr, 300*time.Millisecond).Send(t.Context(), testMail("m1"), func() error { begun = true; return nil })
			if err == nil {
				t.Fatal("got no error, want one")
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.want == nil && (errors.Is(err, notifications.ErrRefused) || errors.Is(err, notifications.ErrShopRefused) || errors.Is(err, notifications.ErrUnanswered)) {
				t.Errorf("got %v, want the mail to be deferred", err)
			}
			if begun != c.begun {
				t.Errorf("got begun %v, want %v", begun, c.begun)
			}
		})
	}
}

func TestUnreachableServerDefersTheMail(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	err = mailerTo(t, l.Addr().String(), time.Second).Send(t.Context(), testMail("m1"), startNothing)
	if err == nil || errors.Is(err, notifications.ErrRefused) || errors.Is(err, notifications.ErrUnanswered) {
		t.Errorf("got %v, want the mail to be deferred", err)
	}
}

// A faulty server refuses thousands of attempts. Each attempt must close its connection.
func TestConnectionIsClosedAfterAFailedGreeting(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "220 test ready\r\n")
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			fmt.Fprint(conn, "554 go away\r\n")
			if err := conn.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
				break
			}
		}
		ended <- lines.Err() // nil: the client hung up
	}()
	if err := mailerTo(t, l.Addr().String(), time.Minute).Send(t.Context(), testMail("m1"), startNothing); err == nil {
		t.Error("got no error, want one")
	}
	if err := <-ended; err != nil {
		t.Errorf("connection after the greeting: got %v, want it closed", err)
	}
}

func TestFailedStartStopsTheMail(t *testing.T) {
	t.Parallel()
	box := startInbox(t)
	m := mailerTo(t, box.Addr(), time.Minute)
	taken := errors.New("taken over")
	if err := m.Send(t.Context(), testMail("m1"), func() error { return taken }); !errors.Is(err, taken) {
		t.Errorf("got %v, want the error of begin", err)
	}
	if err := m.Send(t.Context(), testMail("m2"), startNothing); err != nil {
		t.Fatal(err)
	}
	if got := box.Messages(""); len(got) != 1 || got[0].MessageID != "m2@shop.example" {
		t.Errorf("got mails %+v, want m2 alone", got)
	}
}

func TestConnectionsAreReusedAndReplaced(t *testing.T) {
	t.Parallel()
	var greetings, mails atomic.Int32
	answers := acceptAll(nil)
	addr, _ := startScripted(t, func(line string) string {
		switch {
		case strings.HasPrefix(line, "EHLO"):
			greetings.Add(1)
		case line == ".":
			mails.Add(1)
		case line == "RSET" && mails.Load() == 20:
			mails.Add(1)
			return "hang up" // as servers do with an idle connection
		}
		return answers(line)
	})
	m := mailerTo(t, addr, time.Minute)
	for i := range 20 {
		if err := m.Send(t.Context(), testMail(fmt.Sprint("m", i)), startNothing); err != nil {
			t.Fatal(err)
		}
	}
	if got := greetings.Load(); got != 1 {
		t.Errorf("20 mails in a row: got %d connections, want 1", got)
	}
	begun := 0
	if err := m.Send(t.Context(), testMail("last"), func() error { begun++; return nil }); err != nil || begun != 1 {
		t.Errorf("after the server hung up: got %v, begun %d times; want no error, once", err, begun)
	}
	if got := greetings.Load(); got != 2 {
		t.Errorf("got %d connections, want 2", got)
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 1)
	answers := acceptAll(nil)
	addr, _ := startScripted(t, func(line string) string {
		if strings.HasPrefix(line, "RCPT") {
			reached <- struct{}{}
			return ""
		}
		return answers(line)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	if err := mailerTo(t, addr, time.Hour).Send(ctx, testMail("m1"), startNothing); err == nil || errors.Is(err, notifications.ErrUnanswered) {
		t.Errorf("got %v, want the mail to be deferred", err)
	}
}

func TestNewMailerRefusesBadURLsWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"smtp://localhost:1025?tls=none", "smtp://mail.example", "smtps://u:p%40ss@mail.example:465", "smtp://u:p@mail.example:587", "smtp://[::1]:25?tls=opportunistic"} {
		if _, err := notifications.NewMailer(good, "", time.Second); err != nil {
			t.Errorf("%s: got %v, want no error", good, err)
		}
	}
	for _, bad := range []string{"", "localhost:1025", "http://mail.example", "smtp://", "smtp://user:s3cret@:25", "smtp://h:1?tls=maybe", "smtp://h:99999", "smtp://user:s3cret@h:port", "smtp://user:s3cret@h\x7f"} {
		_, err := notifications.NewMailer(bad, "", time.Second)
		if err == nil {
			t.Errorf("%s: got no error, want one", bad)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v, want an error without the password", bad, err)
		}
	}
}
