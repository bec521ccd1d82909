package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tillstream/payments/sandbox"
)

const journalFile = "stripe-sandbox.jsonl"

func TestEverythingSurvivesARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inFolder(t.TempDir()))
	paid := w.captured()
	if _, err := w.refund(paid.ID, 250); err != nil {
		t.Fatal(err)
	}
	open, err := w.confirm(w.create().ID, "pm_card_threeDSecure2Required")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.confirm(w.create().ID, "pm_card_chargeDeclined")
	_ = stripeError(t, err) // it is refused: how, others test
	paths := []string{
		"/v1/payment_intents?limit=100", "/v1/refunds", "/v1/events?limit=100", "/v1/balance",
		"/v1/charges/" + paid.LatestCharge.ID, "/v1/payment_intents/search?query=metadata['order_id']:'order-1'",
	}
	read := func() (all []string) {
		key, value := bearer(secretKey)
		for _, path := range paths {
			a := w.mustSend(http.MethodGet, path, nil, key, value)
			if a.status != http.StatusOK {
				t.Fatalf("GET %s: %d %s", path, a.status, a.body)
			}
			all = append(all, a.body)
		}
		return all
	}
	before := read()
	w.restart()
	if diff := cmp.Diff(before, read()); diff != "" {
		t.Errorf("after restart (-before +after):\n%s", diff)
	}
	w.challenge(open, "complete") // what the journal keeps privately is there too
	if in := w.get(open.ID); in.Status != stripe.PaymentIntentStatusRequiresCapture {
		t.Errorf("status %s", in.Status)
	}
}

// TestAJournalCutAnywhereIsWhole cuts the journal at every byte of its last
// transaction, as a killed process may leave it.
func TestAJournalCutAnywhereIsWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inFolder(t.TempDir()))
	file := filepath.Join(w.config.DataDir, journalFile)
	first := w.create()
	before := len(readFile(t, file))
	w.mustPost("/v1/payment_intents", "k1", newIntentForm())
	whole := readFile(t, file)
	for size := before; size < len(whole); size++ {
		config := w.config
		config.DataDir = t.TempDir()
		cut := filepath.Join(config.DataDir, journalFile)
		if err := os.WriteFile(cut, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		server, err := sandbox.New(config)
		if err != nil {
			t.Fatalf("cut at %d: %v", size, err)
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if got := readFile(t, cut); !bytes.Equal(got, whole[:before]) {
			t.Fatalf("cut at %d: %d bytes are left, want %d", size, len(got), before)
		}
	}
	if err := os.WriteFile(file, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if n := w.countIntents(); n != 1 || w.get(first.ID).ID != first.ID {
		t.Errorf("%d intents", n)
	}
	if again := w.mustPost("/v1/payment_intents", "k1", newIntentForm()); again.header.Get("Idempotent-Replayed") != "" {
		t.Error("an answer that was never given is replayed")
	}
	w.restart()
	if n := w.countIntents(); n != 2 {
		t.Errorf("%d intents after the repeated request and a restart", n)
	}
}

func TestADamagedJournalIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inFolder(t.TempDir()))
	w.create()
	file := filepath.Join(w.config.DataDir, journalFile)
	whole := readFile(t, file)
	for name, damaged := range map[string]string{
		"NotJSON":     "garbage\n" + string(whole),
		"NotOurs":     "somebody's\nletter\n",
		"UnknownKind": `{"kind":"gold"}` + "\n" + `{"kind":"end"}` + "\n",
		"LostLines":   strings.Replace(string(whole), `"kind":"event","id":"evt_10000000000`, `"kind":"event","id":"evt_10000000007`, 1),
	} {
		config := w.config
		config.DataDir = t.TempDir()
		if err := os.WriteFile(filepath.Join(config.DataDir, journalFile), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sandbox.New(config); !errors.Is(err, sandbox.ErrJournal) {
			t.Errorf("%s: error %v", name, err)
		}
		if got := readFile(t, filepath.Join(config.DataDir, journalFile)); string(got) != damaged {
			t.Errorf("%s: the journal was changed", name)
		}
	}
}

// TestLongTransactionsAreReadBack writes intents with as much metadata as Stripe
// takes, which makes transactions of more than one read.
func TestLongTransactionsAreReadBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inFolder(t.TempDir()))
	var made []*stripe.PaymentIntent
	for n := range 5 {
		made = append(made, w.create(func(p *stripe.PaymentIntentParams) {
			for key := range n * 12 {
				p.Metadata[fmt.Sprintf("key-%d", key)] = strings.Repeat(fmt.Sprint(n), 500)
			}
		}))
	}
	first := w.mustPost("/v1/payment_intents", "k1", newIntentForm())
	w.restart()
	for n, want := range made {
		if diff := cmp.Diff(want.Metadata, w.get(want.ID).Metadata); diff != "" {
			t.Errorf("metadata of intent %d (-want +got):\n%s", n, diff)
		}
	}
	events := w.stripe.Events.List(&stripe.EventListParams{}).EventList().Data
	for n, want := range made {
		if got := events[len(events)-1-n]; got.GetObjectValue("id") != want.ID {
			t.Errorf("event %d tells of %s, want %s", n, got.GetObjectValue("id"), want.ID)
		}
	}
	if again := w.mustPost("/v1/payment_intents", "k1", newIntentForm()); again.body != first.body {
		t.Errorf("replayed %s, want %s", again.body, first.body)
	}
}

func TestAnUnwritableJournalAnswers500AndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.create()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := w.confirm(in.ID, "pm_card_visa")
	if e := stripeError(t, err); e.HTTPStatusCode != http.StatusInternalServerError || e.Type != stripe.ErrorTypeAPI {
		t.Errorf("refusal %+v", e)
	}
	if got := w.get(in.ID); got.Status != stripe.PaymentIntentStatusRequiresPaymentMethod {
		t.Errorf("status %s", got.Status)
	}
}

func TestCardDataIsNotKept(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := newWorld(t, inFolder(t.TempDir()), logTo(&log))
	for _, number := range []string{"4242424242424242", "4000000000000002", "4000002500003155", "4242424242424241"} {
		key, value := bearer(secretKey)
		w.mustSend(http.MethodPost, "/v1/payment_intents/"+w.create().ID+"/confirm", typedCard(number, "12", "2050", "987"), key, value, "Idempotency-Key", number[10:])
	}
	w.stop()
	kept := log.String() + string(readFile(t, filepath.Join(w.config.DataDir, journalFile)))
	for _, secret := range []string{"42424242", "400000000000", "400000250000", `"987"`} {
		if strings.Contains(kept, secret) {
			t.Errorf("journal or log has %s in it", secret)
		}
	}
	if !strings.Contains(kept, `"last4":"4242"`) {
		t.Error("the last four digits are not kept")
	}
	w.start()
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
