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

// Row 20 of the fault matrix: a shop that is killed after a mail's event was handled again, and before its dead letter says
// so, says it once it is started again. The mail stays one.
func TestKilledDuringARedrive(t *testing.T) {
	t.Parallel()
	c := openDoors(t, openSingle(t, patiently), "redriven")
	buyer := c.enter(pays)
	c.waitFor(t, c.shoppers)
	c.settledMail(t, buyer)
	queued := c.facts(t, events.PrefixNotification, "notifications.queued")[0]
	c.inLog(t, func(reader *replay.Reader) {
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
		c.world.lay(t, at(t, "act.done@notifications.mail"))
		if _, err := reader.Redrive(t.Context(), letters, "mended"); err != nil {
			t.Fatal(err)
		}
	})
	hurt := c.world.awaitSprung(t)
	dead(t, hurt)
	hurt.start(t)
	c.inLog(t, func(reader *replay.Reader) {
		proc.WaitFor(t, "the dead letter is redriven", time.Minute, func() bool {
			letters, err := reader.DeadLetters(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			return len(letters) == 1 && letters[0].State == replay.StateRedriven && letters[0].Attempt >= 2
		})
	})
	c.close(t)
	if got := c.mails(t)[buyer.address()]; len(got) != 1 {
		t.Errorf("there are mails with the ids %v, want one", got)
	}
	if sending := c.facts(t, events.PrefixNotification, "notifications.sending"); len(sending) != 1 {
		t.Errorf("the mail was begun %d times, want once", len(sending))
	}
}

// inLog reads the log of the shop as it is now.
func (c *crowd) inLog(t *testing.T, look func(*replay.Reader)) {
	t.Helper()
	reader, done, err := c.world.shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	look(reader)
}
