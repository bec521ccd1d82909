package notifications_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/worker"
	"tillstream/notifications"
)

// lane is the one that mails are sent in.
const lane = "notifications.mail"

// Row 20 of the fault matrix: a mail that could not be written is a dead letter. With the template mended it is redriven,
// and sent once: also when the process ends after the mail was sent and before that is said in the dead letter, and when it
// is asked for twice.
func TestARedrivenMailIsSentOnce(t *testing.T) {
	t.Parallel()
	p := open(t)
	stop := p.runsUnable(t)
	p.says(t, "o1", notifications.SampleConfirmed("o1"))
	waitFor(t, "the mail is a dead letter", func() bool { return p.deadLetters(t) == 1 })
	stop()
	queued := p.history(t, "o1")[0].Sequence

	p.deadLettersHold(t, 1) // full: what becomes of the redelivery cannot be stored
	stop = p.runs(t, p.service(t, patient))
	for _, id := range []string{"first", "second"} {
		if _, err := worker.Redeliver(t.Context(), p.log.ForDomain("ops"), id, "mended", map[string][]uint64{lane: {queued}}); err != nil {
			t.Fatal(err)
		}
	}
	m := p.becomes(t, "o1", 0, notifications.StatusSent)
	stop()
	if n := p.deadLetters(t); n != 1 {
		t.Fatalf("%d messages among the dead letters, want what opened it alone", n)
	}
	p.deadLettersHold(t, -1)
	p.runs(t, p.service(t, patient))
	waitFor(t, "the outcome is stored", func() bool { return p.deadLetters(t) == 2 })
	p.settled(t)
	if mails := p.mails(m.ID); len(mails) != 1 || m.Attempt != 1 {
		t.Errorf("%d mails in %d attempts, want one", len(mails), m.Attempt)
	}
	if n := p.deadLetters(t); n != 2 {
		t.Errorf("%d messages among the dead letters, want 2", n)
	}
}

// runsUnable runs the domain with an act that cannot write any mail.
func (p *post) runsUnable(t *testing.T) (stop func()) {
	t.Helper()
	d := p.service(t).Worker()
	d.Actors[0].Routes = []worker.ActRoute{worker.Do(func(context.Context, events.Event, events.MessageQueued) error {
		return worker.DeadLetter(errors.New("no template"))
	})}
	w, err := worker.New(t.Context(), p.log, worker.Config{Domains: []worker.Domain{d}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func (p *post) deadLetterStream(t *testing.T) jetstream.Stream {
	t.Helper()
	stream, err := p.log.JetStream().Stream(t.Context(), events.StreamDeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// deadLetters is how many messages there are among the dead letters.
func (p *post) deadLetters(t *testing.T) uint64 {
	t.Helper()
	return p.deadLetterStream(t).CachedInfo().State.Msgs
}

// deadLettersHold bounds how many messages fit among the dead letters; -1: any number.
func (p *post) deadLettersHold(t *testing.T, messages int64) {
	t.Helper()
	config := p.deadLetterStream(t).CachedInfo().Config
	config.MaxMsgs = messages
	if _, err := p.log.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}
