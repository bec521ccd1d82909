package payments

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"tillstream/events"
)

// payment is the newest state.
func (f *fixture) payment(orderID string) Payment {
	f.t.Helper()
	p, err := f.service.newest(f.t.Context(), events.FirstPaymentID(orderID), 0)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// waitForStatus follows a payment until it stands as wanted.
func (f *fixture) waitForStatus(orderID string, want Status) {
	f.t.Helper()
	news, stop := f.service.hub.subscribe(events.FirstPaymentID(orderID))
	defer stop()
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	for f.payment(orderID).Status() != want {
		select {
		case <-news:
		case <-patience.C:
			f.t.Fatalf("waited in vain until the payment is %s, it is %s; the log says:\n%s", want, f.payment(orderID).Status(), f.logOutput)
		}
	}
}

// said counts the facts about one subject by type.
func (f *fixture) countByType(subject string) map[string]int {
	f.t.Helper()
	counts := map[string]int{}
	for _, e := range f.history() {
		if e.Subject == subject {
			counts[strings.TrimPrefix(e.Type, "payments.")]++
		}
	}
	return counts
}

// webhooksStored counts the events of Stripe's that are in the log.
func (f *fixture) webhooksStored() (n int) {
	f.t.Helper()
	for _, e := range f.history() {
		if _, ok := e.Payload.(events.WebhookReceived); ok {
			n++
		}
	}
	return n
}

// history is everything in the log.
func (f *fixture) history() (all []events.Event) {
	f.t.Helper()
	end, err := f.log.End(f.t.Context(), 0)
	if err != nil {
		f.t.Fatal(err)
	}
	for seq := uint64(1); seq <= end; seq++ {
		m, err := f.log.Get(f.t.Context(), seq)
		if err != nil {
			f.t.Fatal(err)
		}
		e, err := m.Event()
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// deadLetters is what could not be handled.
func (f *fixture) deadLetters() (dead []events.DeadLettered) {
	f.t.Helper()
	stream, err := f.log.JetStream().Stream(f.t.Context(), events.StreamDeadLetters)
	if err != nil {
		f.t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(f.t.Context(), seq)
		if err != nil {
			f.t.Fatal(err)
		}
		e, err := events.Decode(m.Subject, m.Header, m.Data)
		if err != nil {
			f.t.Fatal(err)
		}
		dead = append(dead, e.Payload.(events.DeadLettered))
	}
	return dead
}

// expectNoDeadLetters expects that everything could be handled.
func (f *fixture) expectNoDeadLetters() {
	f.t.Helper()
	for _, d := range f.deadLetters() {
		f.t.Errorf("dead letter because %q: %+v", d.Error, d)
	}
}

// expectCanceledAtStripe expects that an intent blocks no money any more.
func (f *fixture) expectCanceledAtStripe(intent string) {
	f.t.Helper()
	if in := f.callStripe("payment_intents/"+intent, nil); in["status"] != "canceled" {
		f.t.Errorf("at Stripe %s is %v", intent, in["status"])
	}
}

// expectNoSecrets looks for client secrets in the log and in what was logged, and for dead letters.
func (f *fixture) expectNoSecrets(secret string) {
	f.t.Helper()
	for _, e := range f.history() {
		if webhook, ok := e.Payload.(events.WebhookReceived); ok && strings.Contains(string(webhook.Body), "_secret") {
			f.t.Errorf("%s keeps a secret: %s", webhook.StripeType, webhook.Body)
		}
	}
	for _, canary := range []string{secret, secretKey, webhookSecret, "ada@example.org"} {
		if strings.Contains(f.logOutput.String(), canary) {
			f.t.Errorf("%q was logged", canary)
		}
	}
	f.expectNoDeadLetters()
}

// syncBuffer collects what is logged; it outlives the test, which t.Output does not.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
