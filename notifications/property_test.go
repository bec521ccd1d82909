package notifications

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tillstream/events"
)

// model is a log, a mail server, and any number of senders that may die at any point.
type model struct {
	n        Notification
	now      time.Time
	accepted map[string]int // mails that the server accepted, by message
}

const modelSendTimeout = 45 * time.Second

// Events are delivered in any order and repeatedly, and senders die at any point. Every decided event can be folded, each outcome
// is queued once, a refund is mailed at most once, and the other outcomes at most maxUnanswered times.
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
			t.Fatalf("apply the decided %s: %v", fact.EventType(), err)
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

// act delivers a queued message to a sender, which may die before or after the server accepted the mail.
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
		switch rapid.SampledFrom([]string{"dies before", "dies after", "accepted", "refused"}).Draw(t, "end") {
		case "dies after":
			w.accepted[m.ID]++
		case "accepted":
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
			t.Fatalf("message %s: got it queued twice, want once", m.ID)
		}
		facts[m.Fact], keys[m.key()] = true, true
		limit := maxUnanswered
		if m.Template == TemplateRefunded {
			limit = 1
		}
		if w.accepted[m.ID] > limit {
			t.Fatalf("message %s: got %d mails, want at most %d", m.ID, w.accepted[m.ID], limit)
		}
		if m.Status == StatusSent && w.accepted[m.ID] == 0 {
			t.Fatalf("message %s: got status sent and no mail", m.ID)
		}
	}
}
