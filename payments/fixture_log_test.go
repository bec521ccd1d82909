package payments

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"tillstream/events"
)

// payment returns the newest state of an order's payment.
func (f *fixture) payment(orderID string) Payment {
	f.t.Helper()
	p, err := f.service.newest(f.t.Context(), events.FirstPaymentID(orderID), 0)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// waitForStatus waits until a payment has a status.
func (f *fixture) waitForStatus(orderID string, want Status) {
	f.t.Helper()
	changed, stop := f.service.hub.subscribe(events.FirstPaymentID(orderID))
	defer stop()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	for f.payment(orderID).Status() != want {
		select {
		case <-changed:
		case <-timeout.C:
			f.t.Fatalf("payment after 20 s: got %s, want %s; log output:\n%s", f.payment(orderID).Status(), want, f.logOutput)
		}
	}
}

// countByType counts the events on a subject by type.
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

// webhooksStored counts the webhooks in the log.
func (f *fixture) webhooksStored() (n int) {
	f.t.Helper()
	for _, e := range f.history() {
		if _, ok := e.Payload.(events.WebhookReceived); ok {
			n++
		}
	}
	return n
}

// history returns every event in the log.
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

// deadLetters returns every dead letter.
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

// expectNoDeadLetters checks that no event became a dead letter.
func (f *fixture) expectNoDeadLetters() {
	f.t.Helper()
	for _, d := range f.deadLetters() {
		f.t.Errorf("got dead letter %+v, want none", d)
	}
}

// expectCanceledAtStripe checks that an intent is canceled, so that it reserves no money.
func (f *fixture) expectCanceledAtStripe(intent string) {
	f.t.Helper()
	if in := f.callStripe("payment_intents/"+intent, nil); in["status"] != "canceled" {
		f.t.Errorf("intent %s at Stripe: got status %v, want canceled", intent, in["status"])
	}
}

// expectNoSecrets checks that the log and the log output have no client secrets, keys or addresses, and that there are no dead
// letters.
func (f *fixture) expectNoSecrets(secret string) {
	f.t.Helper()
	for _, e := range f.history() {
		if webhook, ok := e.Payload.(events.WebhookReceived); ok && strings.Contains(string(webhook.Body), "_secret") {
			f.t.Errorf("stored %s: got a client secret in %s, want none", webhook.StripeType, webhook.Body)
		}
	}
	for _, private := range []string{secret, secretKey, webhookSecret, "ada@example.org"} {
		if strings.Contains(f.logOutput.String(), private) {
			f.t.Errorf("log output: got %q in it, want it redacted", private)
		}
	}
	f.expectNoDeadLetters()
}

// syncBuffer collects log output. Unlike t.Output it can be used after the test.
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
