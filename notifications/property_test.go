package notifications

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tillstream/events"
)

// world is a mail server, any number of senders that die at will, and a log.
type model struct {
	n        Notification
	now      time.Time
	accepted map[string]int // mails that the server took, by message
}

const modelSendTimeout = 45 * time.Second

// Whatever is delivered, how often, in whatever order, and wherever senders die: every message the decisions state can
// be folded, each outcome is queued once, a settled message stays settled, money is never told twice, and the others at
// most maxUnanswered times.
func TestNoOutcomeIsMailedTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &model{now: noon, accepted: map[string]int{}}
		t.Repeat(map[string]func(*rapid.T){
			"deliver an outcome": w.deliver,
			"act on a message":   w.act,
			"time passes": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second)
			},
			"": w.check,
		})
	})
}

func (w *model) apply(t *rapid.T, facts ...events.Payload) {
	for _, fact := range facts {
		next, err := Apply(w.n, events.Event{Type: fact.EventType(), Time: w.now, Payload: fact})
		if err != nil {
			t.Fatalf("decided %s and cannot fold it: %v", fact.EventType(), err)
		}
		w.n = next
	}
}

func (w *model) deliver(t *rapid.T) {
	base := sampleOutcome("o1")
	outcomes := []Outcome{
		Confirmed(confirmed("o1"), noon), Expired(events.OrderExpired{OrderOutcome: base}, noon),
		Rejected(events.OrderRejected{OrderOutcome: base, Reason: events.RejectedPaidLate}, noon),
		Refunded(refunded("o1", "r1"), noon), Refunded(refunded("o1", "r2"), noon),
	}
	i := rapid.IntRange(0, len(outcomes)-1).Draw(t, "outcome")
	facts, err := w.n.Queue(outcomes[i], fmt.Sprintf("event-%d", i), "shop.example")
	if err != nil {
		t.Fatal(err)
	}
	w.apply(t, facts...)
}

// act is one delivery of a queued message to a sender, who may die before the server took the mail, or after.
func (w *model) act(t *rapid.T) {
	if len(w.n.Messages) == 0 {
		return
	}
	m := rapid.SampledFrom(w.n.Messages).Draw(t, "message")
	switch step, _ := m.Next(w.now, modelSendTimeout, 0); step {
	case StepGiveUp:
		w.apply(t, w.n.Settle(events.MessageUnknown{OrderID: "o1", MessageID: m.ID})...)
	case StepSend:
		w.apply(t, m.Start("o1", "ada@example.com"))
		switch rapid.SampledFrom([]string{"dies before", "dies after", "taken", "refused"}).Draw(t, "end") {
		case "dies after":
			w.accepted[m.ID]++
		case "taken":
			w.accepted[m.ID]++
			w.apply(t, w.n.Settle(events.MessageSent{OrderID: "o1", MessageID: m.ID})...)
		case "refused":
			w.apply(t, w.n.Settle(events.MessageFailed{OrderID: "o1", MessageID: m.ID, Error: "550"})...)
		}
	}
}

func (w *model) check(t *rapid.T) {
	facts, keys := map[string]bool{}, map[string]bool{}
	for _, m := range w.n.Messages {
		if facts[m.Fact] || keys[m.key()] {
			t.Fatalf("%s is queued twice", m.ID)
		}
		facts[m.Fact], keys[m.key()] = true, true
		limit := maxUnanswered
		if m.Template == TemplateRefunded {
			limit = 1
		}
		if w.accepted[m.ID] > limit {
			t.Fatalf("%s went out %d times", m.ID, w.accepted[m.ID])
		}
		if m.Status == StatusSent && w.accepted[m.ID] == 0 {
			t.Fatalf("%s counts as sent and never went out", m.ID)
		}
	}
}
