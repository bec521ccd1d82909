package notifications_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

// Row 54 of the fault matrix, first part: a server that refuses temporarily at each stage, three times, and one that refuses
// permanently. A refusal of the sender is about the shop and not about the mail, so it is temporary.
func TestBusyServerIsRetriedAndRefusalFails(t *testing.T) {
	t.Parallel()
	for _, stage := range []inbox.Stage{inbox.StageMail, inbox.StageRcpt, inbox.StageData} {
		for name, outcome := range map[string]notifications.Outcome{"Confirmed": confirmation("o1"), "Refunded": refund("o1")} {
			t.Run("Busy"+string(stage)+name, func(t *testing.T) {
				t.Parallel()
				p := open(t)
				var attempts atomic.Int32
				p.box.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
					if at == stage && attempts.Add(1) <= 3 {
						if stage == inbox.StageMail {
							return inbox.Refuse(550, "daily quota exceeded")
						}
						return inbox.Refuse(451, "try ada@example.com later")
					}
					return nil
				})
				_, m := p.queueMessage(t, outcome)
				p.start(t, p.service(t))
				p.waitForStatus(t, "o1", 0, notifications.StatusSent)
				p.expectMails(t, m.MessageID, 1)
			})
		}
		if stage == inbox.StageMail {
			continue
		}
		t.Run("Refused"+string(stage), func(t *testing.T) {
			t.Parallel()
			p := open(t)
			var attempts atomic.Int32
			p.box.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
				if at == stage {
					attempts.Add(1)
					return inbox.Refuse(550, "ada@example.com is not here")
				}
				return nil
			})
			p.queueMessage(t, confirmation("o1"))
			p.start(t, p.service(t))
			m := p.waitForStatus(t, "o1", 0, notifications.StatusFailed)
			p.waitUntilIdle(t)
			if !strings.Contains(m.Error, "550") || strings.Contains(m.Error, "ada@") || attempts.Load() != 1 {
				t.Errorf("got error %q after %d attempts, want the reply without the address after 1", m.Error, attempts.Load())
			}
		})
	}
}

// EHLO has a domain name where possible, because mail servers refuse "localhost".
func TestEHLOUsesTheDomainOrTheSetting(t *testing.T) {
	t.Parallel()
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ setting, url, want string }{
		"Domain":         {"", "https://shop.example:8443/base", "shop.example"},
		"Setting":        {"mail.shop.example", "https://shop.example", "mail.shop.example"},
		"AddressLiteral": {"[192.0.2.1]", "https://shop.example", "[192.0.2.1]"},
		"NoDomain":       {"", "http://127.0.0.1:8080", machine},
		"BareName":       {"", "http://localhost:8080", machine},
		"IPv6Address":    {"", "http://[::1]:8080", machine},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, received := startScripted(t, acceptAll(nil))
			p := open(t)
			e, m := p.queueMessage(t, confirmation("o1"))
			s := p.service(t, func(config *notifications.Config) {
				config.EHLO, config.PublicURL, config.SMTPURL = c.setting, c.url, "smtp://"+addr+"?tls=none"
			})
			sent := s.Act(t.Context(), e, m)
			stopped, stop := context.WithCancel(t.Context())
			stop()
			if err := errors.Join(sent, s.Run(stopped)); err != nil { // Run closes the connection
				t.Fatal(err)
			}
			if got, _, _ := strings.Cut(received(), "\n"); got != "EHLO "+c.want {
				t.Errorf("got %q, want EHLO %s", got, c.want)
			}
		})
	}
}
