package notifications

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var ada = events.Customer{Email: "ada@example.com", Name: "Ada Lovelace", Locale: "en-GB"}

func samplePlaced(orderID string) events.OrderPlaced {
	gbp := func(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }
	return events.OrderPlaced{
		OrderID: orderID, Number: "8F3K2-MQD7A", Customer: ada,
		ShipTo: events.Address{Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"},
		Lines: []events.OrderLine{
			{SKU: "85123A", Title: "White hanging heart T-light holder", Quantity: 2, UnitPrice: gbp(62_550), Total: gbp(125_100)},
			{SKU: "71053", Title: "Metal lantern <small> & \"square\"", Quantity: 1, UnitPrice: gbp(339), Total: gbp(339)},
		},
		Subtotal: gbp(125_439), Shipping: gbp(495), Tax: gbp(0), Total: gbp(125_934),
	}
}

func sampleOutcome(orderID string) events.OrderOutcome {
	return events.OrderOutcome{OrderID: orderID, Number: "8F3K2-MQD7A"}
}

func confirmed(orderID string) events.OrderConfirmed {
	return events.OrderConfirmed{OrderOutcome: sampleOutcome(orderID)}
}

func refunded(orderID, refundID string) events.OrderRefunded {
	return events.OrderRefunded{OrderOutcome: sampleOutcome(orderID), RefundID: refundID, Amount: events.Money{Amount: 495, Currency: "GBP"}}
}

// fold applies facts to a notification.
func fold(t testing.TB, n Notification, at time.Time, facts ...events.Payload) Notification {
	t.Helper()
	for _, fact := range facts {
		var err error
		if n, err = Apply(n, events.Event{Type: fact.EventType(), Time: at, Payload: fact}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func queue(t testing.TB, n Notification, o Outcome, fact string) []events.Payload {
	t.Helper()
	facts, err := n.Queue(o, fact, "shop.example")
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

func TestQueueFreezesTheFacts(t *testing.T) {
	t.Parallel()
	facts := queue(t, Notification{}, Confirmed(confirmed("o1"), noon), "event-1")
	if len(facts) != 1 {
		t.Fatalf("got %d facts, want 1", len(facts))
	}
	got := facts[0].(events.MessageQueued)
	var frozen Facts
	if err := json.Unmarshal(got.Facts, &frozen); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Confirmed(confirmed("o1"), noon).Facts, frozen); diff != "" {
		t.Errorf("frozen facts (-want +got):\n%s", diff)
	}
	if want := `{"order_id":"o1","number":"8F3K2-MQD7A","at":"2026-11-21T12:00:00Z"}`; want != string(got.Facts) {
		t.Errorf("got facts %s, want %s without the values of the order's first event", got.Facts, want)
	}
	got.Facts = nil
	want := events.MessageQueued{OrderID: "o1", MessageID: "o1.order_confirmed@shop.example", Template: "order_confirmed", Fact: "event-1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
}

// Each row queues outcomes one after another; want is the number of messages in the end.
func TestQueueQueuesEachFactOnce(t *testing.T) {
	t.Parallel()
	type delivery struct {
		outcome Outcome
		fact    string
	}
	c := Confirmed(confirmed("o1"), noon)
	expired := Expired(events.OrderExpired{OrderOutcome: sampleOutcome("o1")}, noon)
	refund1, refund2 := Refunded(refunded("o1", "o1-void"), noon), Refunded(refunded("o1", "re_2"), noon)
	for name, tc := range map[string]struct {
		deliveries []delivery
		want       int
	}{
		"Once":                         {[]delivery{{c, "e1"}}, 1},
		"DeliveredAgain":               {[]delivery{{c, "e1"}, {c, "e1"}}, 1},
		"SameOutcomeByAnotherEvent":    {[]delivery{{c, "e1"}, {c, "e2"}}, 1},
		"TwoOutcomes":                  {[]delivery{{expired, "e1"}, {c, "e2"}, {expired, "e1"}}, 2},
		"TwoRefunds":                   {[]delivery{{refund1, "e1"}, {refund2, "e2"}}, 2},
		"SameRefundByAnotherEvent":     {[]delivery{{refund1, "e1"}, {refund1, "e2"}}, 1},
		"SameEventWithAnotherRefundID": {[]delivery{{refund1, "e1"}, {refund2, "e1"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n Notification
			for _, d := range tc.deliveries {
				n = fold(t, n, noon, queue(t, n, d.outcome, d.fact)...)
			}
			if len(n.Messages) != tc.want {
				t.Errorf("got %d messages, want %d: %+v", len(n.Messages), tc.want, n.Messages)
			}
		})
	}
}

func TestQueueIgnoresAChangedSenderDomain(t *testing.T) {
	t.Parallel()
	o := Confirmed(confirmed("o1"), noon)
	n := fold(t, Notification{}, noon, queue(t, Notification{}, o, "e1")...)
	facts, err := n.Queue(o, "e2", "new.example")
	if err != nil || len(facts) != 0 {
		t.Errorf("queue under the new domain: got %v, %v; want nothing", facts, err)
	}
}

func TestMessageIDIsSanitized(t *testing.T) {
	t.Parallel()
	o := Refunded(refunded("o1", "re_1>\r\nBcc: x@y.z"), noon)
	if got, want := messageID(o, "shop.example"), "o1.order_refunded.re_1___Bcc__x_y_z@shop.example"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// notificationIn returns a notification with a message in a state.
func notificationIn(t testing.TB, status Status, template string) Notification {
	t.Helper()
	o := Confirmed(confirmed("o1"), noon)
	if template == TemplateRefunded {
		o = Refunded(refunded("o1", "r1"), noon)
	}
	n := fold(t, Notification{}, noon, queue(t, Notification{}, o, "e1")...)
	m := n.Messages[0]
	path := map[Status][]events.Payload{
		StatusQueued:  {},
		StatusSending: {m.Start("o1", "ada@example.com")},
		StatusSent:    {m.Start("o1", "ada@example.com"), events.MessageSent{OrderID: "o1", MessageID: m.ID}},
		StatusFailed:  {events.MessageFailed{OrderID: "o1", MessageID: m.ID, Error: "550"}},
		StatusUnknown: {m.Start("o1", "ada@example.com"), events.MessageUnknown{OrderID: "o1", MessageID: m.ID, Error: "?"}},
	}
	return fold(t, n, noon, path[status]...)
}

var statuses = []Status{StatusQueued, StatusSending, StatusSent, StatusFailed, StatusUnknown}

// The events that may follow in every state, and the states to which they lead.
func TestApplyInEveryState(t *testing.T) {
	t.Parallel()
	table := map[Status]map[string]Status{ // absent: the event cannot follow
		StatusQueued:  {"notifications.sending": StatusSending, "notifications.failed": StatusFailed},
		StatusSending: {"notifications.sending": StatusSending, "notifications.sent": StatusSent, "notifications.failed": StatusFailed, "notifications.unknown": StatusUnknown},
		StatusSent:    {},
		StatusFailed:  {},
		StatusUnknown: {"notifications.sent": StatusSent},
	}
	for _, status := range statuses {
		n := notificationIn(t, status, TemplateConfirmed)
		m := n.Messages[0]
		for _, fact := range []events.Payload{
			events.MessageQueued{OrderID: "o1", MessageID: m.ID}, m.Start("o1", "ada@example.com"), events.MessageSent{MessageID: m.ID},
			events.MessageFailed{MessageID: m.ID}, events.MessageUnknown{MessageID: m.ID}, events.OrderExpired{},
		} {
			before := n.Messages[0]
			next, err := Apply(n, events.Event{Type: fact.EventType(), Time: noon.Add(time.Minute), Payload: fact})
			want, ok := table[status][fact.EventType()]
			if (err == nil) != ok {
				t.Errorf("%s + %s: got %v, want it to follow: %v", status, fact.EventType(), err, ok)
			}
			if ok && (next.Messages[0].Status != want || !next.Messages[0].ChangedAt.Equal(noon.Add(time.Minute))) {
				t.Errorf("%s + %s: got %+v, want %s", status, fact.EventType(), next.Messages[0], want)
			}
			if n.Messages[0] != before {
				t.Errorf("%s + %s: got a changed argument, want it unchanged", status, fact.EventType())
			}
		}
	}
}

func TestApplyRefusesUnknownMessages(t *testing.T) {
	t.Parallel()
	for _, fact := range []events.Payload{events.MessageSending{MessageID: "x@y"}, events.MessageSent{MessageID: "x@y"}} {
		if _, err := Apply(Notification{}, events.Event{Type: fact.EventType(), Payload: fact}); err == nil {
			t.Errorf("%s of an unknown message: got no error, want one", fact.EventType())
		}
	}
}

// Settle returns a result in exactly the states in which Apply accepts it.
func TestSettleInEveryState(t *testing.T) {
	t.Parallel()
	for _, status := range statuses {
		n := notificationIn(t, status, TemplateConfirmed)
		id := n.Messages[0].ID
		for _, result := range []events.Payload{
			events.MessageSent{OrderID: "o1", MessageID: id}, events.MessageFailed{OrderID: "o1", MessageID: id},
			events.MessageUnknown{OrderID: "o1", MessageID: id},
		} {
			_, err := Apply(n, events.Event{Type: result.EventType(), Payload: result})
			if got := n.Settle(result); (len(got) == 1) != (err == nil) {
				t.Errorf("%s + %s: got %v, want what Apply accepts: %v", status, result.EventType(), got, err)
			}
		}
		if got := n.Settle(events.MessageSent{MessageID: "other@shop.example"}); got != nil {
			t.Errorf("%s, unknown message: got %v, want nothing", status, got)
		}
		if got := n.Settle(events.MessageSending{MessageID: id}); got != nil {
			t.Errorf("%s, sending is not a result: got %v, want nothing", status, got)
		}
	}
}

func TestNextInEveryState(t *testing.T) {
	t.Parallel()
	const timeout = 45 * time.Second
	for name, c := range map[string]struct {
		status    Status
		template  string
		attempts  int // after the first
		after     time.Duration
		concluded int
		want      Step
		wait      time.Duration
	}{
		"Queued":                      {status: StatusQueued, want: StepSend},
		"QueuedForDays":               {status: StatusQueued, after: 72 * time.Hour, want: StepSend},
		"SendingNow":                  {status: StatusSending, after: 15 * time.Second, want: StepWait, wait: 30 * time.Second},
		"SendingJustBeforeTheTimeout": {status: StatusSending, after: timeout - 1, want: StepWait, wait: 1},
		"SenderDied":                  {status: StatusSending, after: timeout, want: StepSend},
		"SenderDiedTwice":             {status: StatusSending, attempts: 1, after: timeout, want: StepSend},
		"SenderDiedThreeTimes":        {status: StatusSending, attempts: 2, after: timeout, want: StepGiveUp},
		"SenderOfRefundDied":          {status: StatusSending, template: TemplateRefunded, after: timeout, want: StepGiveUp},
		"RefundSendingNow":            {status: StatusSending, template: TemplateRefunded, want: StepWait, wait: timeout},
		"KnownToBeDeferred":           {status: StatusSending, concluded: 1, want: StepSend},
		"RefundKnownToBeDeferred":     {status: StatusSending, template: TemplateRefunded, concluded: 1, want: StepSend},
		"DeferredThenTakenOver":       {status: StatusSending, attempts: 1, concluded: 1, want: StepWait, wait: timeout},
		"ClockOfSenderIsAhead":        {status: StatusSending, after: -5 * time.Second, want: StepWait, wait: 50 * time.Second},
		"Sent":                        {status: StatusSent, after: time.Hour, want: StepNothing},
		"Failed":                      {status: StatusFailed, after: time.Hour, want: StepNothing},
		"Unknown":                     {status: StatusUnknown, after: time.Hour, want: StepNothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := notificationIn(t, c.status, c.template)
			for range c.attempts {
				n = fold(t, n, noon, n.Messages[0].Start("o1", "ada@example.com"))
			}
			step, wait := n.Messages[0].Next(noon.Add(c.after), timeout, c.concluded)
			if step != c.want || wait != c.wait {
				t.Errorf("got step %d and %s, want %d and %s", step, wait, c.want, c.wait)
			}
		})
	}
}

func TestBackoffGrowsUpToAnHour(t *testing.T) {
	t.Parallel()
	last := time.Duration(0)
	for attempt := 1; attempt < 30; attempt++ {
		d := Backoff(attempt)
		if d < last || d > time.Hour {
			t.Errorf("Backoff(%d): got %s, want %s to 1h", attempt, d, last)
		}
		last = d
	}
	if Backoff(0) != Backoff(1) || Backoff(-3) != Backoff(1) {
		t.Errorf("Backoff(0), Backoff(-3): got %s, %s; want %s", Backoff(0), Backoff(-3), Backoff(1))
	}
	m := Message{QueuedAt: noon}
	if m.Overdue(noon.Add(giveUpAfter-1)) || !m.Overdue(noon.Add(giveUpAfter)) {
		t.Errorf("Overdue: want false just before %s and true from then on", giveUpAfter)
	}
}

func TestRedactRemovesAddresses(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"ada@example.com", "Ada.Lovelace+till@mail.example.co.uk"} {
		got := redact(&textError{"550 5.1.1 <" + secret + ">: mailbox\r\n of " + secret + " unknown"})
		if strings.Contains(got, secret) || strings.Contains(got, "@") || !strings.HasPrefix(got, "550 5.1.1") || strings.ContainsAny(got, "\r\n") {
			t.Errorf("got %q, want the reply without the address", got)
		}
	}
	if got := redact(&textError{"x" + strings.Repeat("ä", 1000)}); len(got) > maxErrorText || len(got) < maxErrorText-4 || !utf8.ValidString(got) {
		t.Errorf("long reply: got %d bytes, valid %v; want %d, true", len(got), utf8.ValidString(got), maxErrorText)
	}
}

type textError struct{ text string }

func (e *textError) Error() string { return e.text }
