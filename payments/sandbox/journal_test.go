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

	"tillstream/events/embedded/journal"
	"tillstream/payments/sandbox"
)

const journalFile = "stripe-sandbox.jsonl"

func TestEverythingSurvivesARestart(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	paid := s.captured()
	if _, err := s.refund(paid.ID, 250); err != nil {
		t.Fatal(err)
	}
	open, err := s.confirm(s.create().ID, "pm_card_threeDSecure2Required")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.confirm(s.create().ID, "pm_card_chargeDeclined")
	_ = stripeError(t, err)
	paths := []string{
		"/v1/payment_intents?limit=100", "/v1/refunds", "/v1/events?limit=100", "/v1/balance",
		"/v1/charges/" + paid.LatestCharge.ID, "/v1/payment_intents/search?query=metadata['order_id']:'order-1'",
	}
	read := func() (all []string) {
		key, value := bearer(secretKey)
		for _, path := range paths {
			a := s.mustSend(http.MethodGet, path, nil, key, value)
			if a.status != http.StatusOK {
				t.Fatalf("GET %s: got %d %s, want 200", path, a.status, a.body)
			}
			all = append(all, a.body)
		}
		return all
	}
	before := read()
	s.restart()
	if diff := cmp.Diff(before, read()); diff != "" {
		t.Errorf("after restart (-before +after):\n%s", diff)
	}
	s.challenge(open, "complete") // needs the card, which only the journal has
	if in := s.get(open.ID); in.Status != stripe.PaymentIntentStatusRequiresCapture {
		t.Errorf("got status %s, want requires_capture", in.Status)
	}
}

// The journal is cut at every byte of its last transaction, as a killed process may leave it.
func TestUnfinishedTransactionsAreCutOff(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	file := filepath.Join(s.config.DataDir, journalFile)
	first := s.create()
	before := len(readFile(t, file))
	s.mustPost("/v1/payment_intents", "k1", newIntentForm())
	whole := readFile(t, file)
	for size := before; size < len(whole); size++ {
		config := s.config
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
			t.Fatalf("cut at %d: got %d bytes left, want %d", size, len(got), before)
		}
	}
	if err := os.WriteFile(file, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	s.restart()
	if n := s.countIntents(); n != 1 || s.get(first.ID).ID != first.ID {
		t.Errorf("got %d intents, want 1", n)
	}
	if again := s.mustPost("/v1/payment_intents", "k1", newIntentForm()); again.header.Get("Idempotent-Replayed") != "" {
		t.Error("got a replay of an answer that was not sent")
	}
	s.restart()
	if n := s.countIntents(); n != 2 {
		t.Errorf("after the repeated request and a restart: got %d intents, want 2", n)
	}
}

func TestDamagedJournalIsRefused(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	s.create()
	file := filepath.Join(s.config.DataDir, journalFile)
	whole := readFile(t, file)
	for name, damaged := range map[string]string{
		"NotJSON":     "garbage\n" + string(whole),
		"NotOurs":     "another\nfile\n",
		"UnknownKind": `{"kind":"gold"}` + "\n" + `{"kind":"end"}` + "\n",
		"LostLines":   strings.Replace(string(whole), `"kind":"event","id":"evt_10000000000`, `"kind":"event","id":"evt_10000000007`, 1),
	} {
		config := s.config
		config.DataDir = t.TempDir()
		if err := os.WriteFile(filepath.Join(config.DataDir, journalFile), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sandbox.New(config); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("%s: got error %v, want ErrDamaged", name, err)
		}
		if got := readFile(t, filepath.Join(config.DataDir, journalFile)); string(got) != damaged {
			t.Errorf("%s: got a changed journal, want it unchanged", name)
		}
	}
}

// Intents with the most metadata that Stripe accepts make transactions that take more than one read.
func TestLongTransactionsAreReadBack(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	var made []*stripe.PaymentIntent
	for n := range 5 {
		made = append(made, s.create(func(p *stripe.PaymentIntentParams) {
			for key := range n * 12 {
				p.Metadata[fmt.Sprintf("key-%d", key)] = strings.Repeat(fmt.Sprint(n), 500)
			}
		}))
	}
	first := s.mustPost("/v1/payment_intents", "k1", newIntentForm())
	s.restart()
	for n, want := range made {
		if diff := cmp.Diff(want.Metadata, s.get(want.ID).Metadata); diff != "" {
			t.Errorf("metadata of intent %d (-want +got):\n%s", n, diff)
		}
	}
	events := s.stripe.Events.List(&stripe.EventListParams{}).EventList().Data
	for n, want := range made {
		if got := events[len(events)-1-n]; got.GetObjectValue("id") != want.ID {
			t.Errorf("event %d: got object %s, want %s", n, got.GetObjectValue("id"), want.ID)
		}
	}
	if again := s.mustPost("/v1/payment_intents", "k1", newIntentForm()); again.body != first.body {
		t.Errorf("got replay %s, want %s", again.body, first.body)
	}
}

func TestUnwritableJournalAnswers500AndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.create()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.confirm(in.ID, "pm_card_visa")
	if e := stripeError(t, err); e.HTTPStatusCode != http.StatusInternalServerError || e.Type != stripe.ErrorTypeAPI {
		t.Errorf("got error %+v, want 500 api_error", e)
	}
	if got := s.get(in.ID); got.Status != stripe.PaymentIntentStatusRequiresPaymentMethod {
		t.Errorf("got status %s, want requires_payment_method", got.Status)
	}
}

func TestSecondSandboxOnADirectoryIsRefused(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	file := filepath.Join(s.config.DataDir, journalFile)
	if _, err := sandbox.New(s.config); !errors.Is(err, journal.ErrInUse) || !strings.Contains(err.Error(), file+" is in use") {
		t.Errorf("second sandbox: got %v, want ErrInUse that names %s", err, file)
	}
	s.restart() // Close releases the lock
}

func TestCardDataIsNotStored(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newTestServer(t, inDir(t.TempDir()), logTo(&log))
	for _, number := range []string{"4242424242424242", "4000000000000002", "4000002500003155", "4242424242424241"} {
		key, value := bearer(secretKey)
		s.mustSend(http.MethodPost, "/v1/payment_intents/"+s.create().ID+"/confirm", typedCard(number, "12", "2050", "987"), key, value, "Idempotency-Key", number[10:])
	}
	s.stop()
	stored := log.String() + string(readFile(t, filepath.Join(s.config.DataDir, journalFile)))
	for _, secret := range []string{"42424242", "400000000000", "400000250000", `"987"`} {
		if strings.Contains(stored, secret) {
			t.Errorf("journal or log: got %s in it, want no card data", secret)
		}
	}
	if !strings.Contains(stored, `"last4":"4242"`) {
		t.Error("journal: got no last four digits, want them")
	}
	s.start()
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
