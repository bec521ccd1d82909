package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wneessen/go-mail"
)

func TestInterceptorRefusesAtEveryStage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at   Stage
		code int
		kept int
	}{
		"SenderTemporarily":    {StageMail, 451, 0},
		"SenderPermanently":    {StageMail, 550, 0},
		"RecipientTemporarily": {StageRcpt, 450, 0},
		"RecipientPermanently": {StageRcpt, 550, 0},
		"MailTemporarily":      {StageData, 451, 0},
		"MailPermanently":      {StageData, 554, 0},
		"AnswerLost":           {StageStored, 451, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, Config{})
			i.Intercept(func(_ context.Context, at Stage, _, _ string) error {
				if at == c.at {
					return Refuse(c.code, "not today")
				}
				return nil
			})
			err := client(t, i).DialAndSendWithContext(t.Context(), textMail(t, "ada@example.com", "Hello"))
			var refused *mail.SendError
			if !errors.As(err, &refused) || refused.ErrorCode() != c.code || refused.IsTemp() != (c.code < 500) {
				t.Errorf("refusal at %s: got %v, want code %d", c.at, err, c.code)
			}
			if got := len(i.Messages("")); got != c.kept {
				t.Errorf("got %d mails, want %d", got, c.kept)
			}

			i.Intercept(nil)
			send(t, i, textMail(t, "ada@example.com", "Hello again"))
			if got := len(i.Messages("")); got != c.kept+1 {
				t.Errorf("without the interceptor: got %d mails, want %d", got, c.kept+1)
			}
		})
	}
}

func TestRefusalKeepsTheEnhancedStatusCodeOfItsText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"5.7.1 Relay access denied": "5.7.1 Relay access denied",
		"not today":                 "5.0.0 not today",
		"127.0.0.1 may not send":    "5.0.0 127.0.0.1 may not send",
	} {
		i := start(t, Config{})
		i.Intercept(func(context.Context, Stage, string, string) error { return Refuse(554, text) })
		err := client(t, i).DialAndSendWithContext(t.Context(), textMail(t, "ada@example.com", "Hello"))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("554 %q", want)) {
			t.Errorf("%q: got %v, want 554 %q", text, err, want)
		}
	}
}

func TestInterceptorIsCalledAtEveryStage(t *testing.T) {
	t.Parallel()
	i := start(t, Config{})
	type call struct {
		At       Stage
		From, To string
	}
	calls := make(chan call, 10)
	i.Intercept(func(_ context.Context, at Stage, from, to string) error {
		calls <- call{at, from, to}
		return nil
	})
	send(t, i, textMail(t, "ada@example.com", "Hello"))
	close(calls)
	var got []call
	for c := range calls {
		got = append(got, c)
	}
	const from, to = "shop@tillstream.test", "ada@example.com"
	want := []call{{StageMail, from, ""}, {StageRcpt, from, to}, {StageData, from, to}, {StageStored, from, to}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestHangingInterceptorEndsWithTheInbox(t *testing.T) {
	t.Parallel()
	i := start(t, Config{})
	hanging := make(chan struct{})
	i.Intercept(func(ctx context.Context, at Stage, _, _ string) error {
		if at != StageStored {
			return nil
		}
		close(hanging)
		<-ctx.Done()
		return ctx.Err()
	})
	sent := make(chan error, 1)
	hello := textMail(t, "ada@example.com", "Hello")
	c := client(t, i)
	go func() { sent <- c.DialAndSend(hello) }()
	<-hanging
	if got := len(i.Messages("")); got != 1 {
		t.Errorf("while the client waits: got %d mails, want 1", got)
	}
	stopped := make(chan struct{})
	go func() { i.Stop(); close(stopped) }()
	for name, done := range map[string]<-chan struct{}{"the inbox": stopped, "the client": errored(sent)} {
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Errorf("%s still waits 5 s after Stop", name)
		}
	}
}

// errored returns a channel that is closed once an error arrives.
func errored(errs <-chan error) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		if err := <-errs; err != nil {
			close(done)
		}
	}()
	return done
}
