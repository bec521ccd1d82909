//go:build unix

package crashtest_test

import (
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// Row 20 of the fault matrix: the shop is killed after a dead letter was handled again and before it is recorded as redriven. It
// is recorded after the restart, and the mail is sent once.
func TestKilledDuringRedrive(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, openSingle(t, longHold), "redriven")
	buyer := c.add(pays)
	c.waitFor(t, c.shoppers)
	c.awaitMailSent(t, buyer)
	queued := c.history(t, events.PrefixNotification, "notifications.queued")[0]
	c.withLog(t, func(reader *replay.Reader) {
		msg, err := events.Encode(events.Event{ID: "dead", Source: "notifications.mail", Time: time.Now(), CorrelationID: queued.CorrelationID,
			Subject: worker.DeadLetterSubject("notifications.mail", queued.Sequence), Payload: events.DeadLettered{Worker: "notifications.mail",
				Sequence: queued.Sequence, Subject: queued.Subject, Type: queued.Type, Error: "no template", Fingerprint: "f", Attempt: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Log().JetStream().PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		letters, err := reader.OpenDeadLetters(t.Context(), replay.Selection{All: true})
		if err != nil {
			t.Fatal(err)
		}
		c.deployment.arm(t, at(t, "act.done@notifications.mail"))
		if _, err := reader.Redrive(t.Context(), letters, events.Author{Actor: "key:ops", Reason: "fixed"}); err != nil {
			t.Fatal(err)
		}
	})
	victim := c.deployment.awaitTriggered(t)
	awaitDeath(t, victim)
	victim.start(t)
	c.withLog(t, func(reader *replay.Reader) {
		proc.WaitFor(t, "the dead letter is redriven", time.Minute, func() bool {
			letters, err := reader.DeadLetters(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			return len(letters) == 1 && letters[0].State == replay.StateRedriven && letters[0].Attempt >= 2
		})
	})
	c.finish(t)
	if got := c.mails(t)[buyer.address()]; len(got) != 1 {
		t.Errorf("got mails with the ids %v, want one", got)
	}
	if sending := c.history(t, events.PrefixNotification, "notifications.sending"); len(sending) != 1 {
		t.Errorf("got %d attempts to send the mail, want 1", len(sending))
	}
}

// withLog opens the log of the shop.
func (c *crowd) withLog(t *testing.T, read func(*replay.Reader)) {
	t.Helper()
	reader, done, err := c.deployment.shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	read(reader)
}
