package payments

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"tillstream/events"
)

// payment is the newest state.
func (w *world) payment(orderID string) Payment {
	w.t.Helper()
	p, err := w.service.newest(w.t.Context(), events.FirstPaymentID(orderID), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// untilStatus follows a payment until it stands as wanted.
func (w *world) untilStatus(orderID string, want Status) {
	w.t.Helper()
	news, stop := w.service.hub.wait(events.FirstPaymentID(orderID))
	defer stop()
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	for w.payment(orderID).Status() != want {
		select {
		case <-news:
		case <-patience.C:
			w.t.Fatalf("waited in vain until the payment is %s, it is %s; the log says:\n%s", want, w.payment(orderID).Status(), w.logged)
		}
	}
}

// said counts the facts about one subject by type.
func (w *world) said(subject string) map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	for _, e := range w.history() {
		if e.Subject == subject {
			counts[strings.TrimPrefix(e.Type, "payments.")]++
		}
	}
	return counts
}

// received counts the events of Stripe's that are in the log.
func (w *world) received() (n int) {
	w.t.Helper()
	for _, e := range w.history() {
		if _, ok := e.Payload.(events.WebhookReceived); ok {
			n++
		}
	}
	return n
}

// history is everything in the log.
func (w *world) history() (all []events.Event) {
	w.t.Helper()
	end, err := w.log.End(w.t.Context(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for seq := uint64(1); seq <= end; seq++ {
		m, err := w.log.Get(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		e, err := m.Event()
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// deadLetters is what could not be handled.
func (w *world) deadLetters() (dead []events.DeadLettered) {
	w.t.Helper()
	stream, err := w.log.JetStream().Stream(w.t.Context(), events.StreamDeadLetters)
	if err != nil {
		w.t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		e, err := events.Decode(m.Subject, m.Header, m.Data)
		if err != nil {
			w.t.Fatal(err)
		}
		dead = append(dead, e.Payload.(events.DeadLettered))
	}
	return dead
}

// noDeadLetters expects that everything could be handled.
func (w *world) noDeadLetters() {
	w.t.Helper()
	for _, d := range w.deadLetters() {
		w.t.Errorf("dead letter because %q: %+v", d.Error, d)
	}
}

// cancelledAtStripe expects that an intent blocks no money any more.
func (w *world) cancelledAtStripe(intent string) {
	w.t.Helper()
	if in := w.ask("payment_intents/"+intent, nil); in["status"] != "canceled" {
		w.t.Errorf("at Stripe %s is %v", intent, in["status"])
	}
}

// nothingSecret looks for client secrets in the log and in what was logged, and for dead letters.
func (w *world) nothingSecret(secret string) {
	w.t.Helper()
	for _, e := range w.history() {
		if webhook, ok := e.Payload.(events.WebhookReceived); ok && strings.Contains(string(webhook.Body), "_secret") {
			w.t.Errorf("%s keeps a secret: %s", webhook.StripeType, webhook.Body)
		}
	}
	for _, canary := range []string{secret, secretKey, webhookSecret, "ada@example.org"} {
		if strings.Contains(w.logged.String(), canary) {
			w.t.Errorf("%q was logged", canary)
		}
	}
	w.noDeadLetters()
}

// lockedBuffer collects what is logged; it outlives the test, which t.Output does not.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
