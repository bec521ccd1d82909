package payments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/payments/sandbox"
)

// Row 75 of the fault matrix: an event in another version of Stripe's API is answered 400, and the answer, the log and the metric say
// so. What it reports is found by the reconciler.
func TestEventsInAnotherVersionAreAnsweredWithBothVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	body := withField(t, webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil), "api_version", "2019-12-03")
	body = withField(t, body, "request", "req_old") // a text until 2017-05-25
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.shopURL+"/webhooks/stripe", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Stripe-Signature", sign(body, webhookSecret, time.Now()))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	problem, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusBadRequest {
		t.Errorf("event of another version: got HTTP %d, %v; want 400", answer.StatusCode, err)
	}
	for what, text := range map[string]string{"answer": string(problem), "log": f.logOutput.String()} {
		for _, version := range []string{"2019-12-03", StripeAPIVersion} {
			if !strings.Contains(text, version) {
				t.Errorf("%s: got %s, want it to name version %s", what, text, version)
			}
		}
	}
	f.expectCounted(webhookVersion, 1)
	f.expectCounted(webhookRefused, 0)
	f.pay(p, "pm_card_visa")
	f.reconcileAfter(time.Minute)
	f.waitForStatus(orderID, StatusAuthorized)
}

// Row 75 of the fault matrix: the names of previews after the version are accepted.
func TestVersionsOfPreviewsAreAccepted(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		StripeAPIVersion: true,
		StripeAPIVersion + "; custom_checkout_beta=v1": true,
		StripeAPIVersion + ";a_beta=v1;b_beta=v2":      true,
		"":                                   false,
		"2022-11-15":                         false,
		"2024-09-30.acacia":                  false,
		StripeAPIVersion + ".acacia":         false,
		"2022-11-15; of=" + StripeAPIVersion: false,
		"custom_checkout_beta=v1; " + StripeAPIVersion:   false,
		strings.Repeat("9", 1000) + StripeAPIVersion[4:]: false,
	} {
		if got := AcceptsAPIVersion(version); got != want {
			t.Errorf("version %.60q: got accepted %t, want %t", version, got, want)
		}
	}
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.post(withField(t, webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil), "api_version", StripeAPIVersion+"; custom_checkout_beta=v1"))
	f.waitForStatus(orderID, StatusAuthorized)
}

// listedEvents is a gateway whose list of events has some entries of the test instead of Stripe's.
type listedEvents struct {
	Gateway
	entries []RawEvent
	types   []string // asked for
}

func (l *listedEvents) wrap(g Gateway) Gateway {
	l.Gateway = g
	return l
}

// ListEvents implements [Gateway].
func (l *listedEvents) ListEvents(_ context.Context, _, _ time.Time, types []string, fn func(RawEvent) error) error {
	l.types = types
	for _, e := range l.entries {
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// Row 76 of the fault matrix: an entry of Stripe's list that cannot be read is counted and logged once, and the walk goes on: the event
// behind it is stored, and the next walk begins later.
func TestUnreadableEntryDoesNotStopTheReconciler(t *testing.T) {
	t.Parallel()
	list := &listedEvents{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: list.wrap})
	orderID, p := f.placeOrder(1250)
	newest := time.Now().Truncate(time.Second)
	for id, body := range map[string]string{
		"evt_broken": `{"id":"evt_broken","type":`,
		"evt_types":  `{"id":7,"type":["x"],"data":"none"}`,
		"evt_empty":  `null`,
		"evt_nodata": `{"id":"evt_nodata","type":"payment_intent.succeeded"}`,
		"evt_twice":  `{"id":"evt_twice","id":"evt_twice","type":"charge.refunded","data":{"object":{"payment_intent":"` + p.PaymentIntent + `"}}}`,
	} {
		list.entries = append(list.entries, RawEvent{ID: id, Created: newest, Body: []byte(body)})
	}
	list.entries = append(list.entries, RawEvent{ID: "evt_good", Created: newest.Add(-time.Second),
		Body: withField(t, webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil), "id", "evt_good")})
	for range 2 {
		f.reconcileFromStart()
	}
	f.waitForStatus(orderID, StatusAuthorized)
	f.expectCounted(webhookUnreadable, 5)
	if got := strings.Count(f.logOutput.String(), "listed event passed over"); got != 5 {
		t.Errorf("log lines about unreadable entries: got %d, want 5:\n%s", got, f.logOutput)
	}
	if want := newest.Add(-reconcileOverlap); !f.service.cursor.since.Equal(want) {
		t.Errorf("start of the next walk: got %s, want %s", f.service.cursor.since, want)
	}
	if diff := cmp.Diff(WebhookEventTypes(), list.types); diff != "" || len(list.types) > 20 {
		t.Errorf("types asked for (-want +got, at most 20):\n%s", diff)
	}
	f.expectNoDeadLetters()
}

// Row 76 of the fault matrix: Stripe lists an event in the version that the account had. The intent is not read from it but retrieved.
func TestListedEventInAnOldVersionIsRetrieved(t *testing.T) {
	t.Parallel()
	list := &listedEvents{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: list.wrap})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	body := webhookBody(p, orderID, "payment_intent.amount_capturable_updated", func(object map[string]any) {
		object["amount"], object["status"] = "12.50", "authorized" // as no version of Stripe's API has it
	})
	body = withField(t, withField(t, withField(t, body, "id", "evt_old"), "request", "req_old"), "api_version", "2015-10-16")
	list.entries = []RawEvent{{ID: "evt_old", Created: time.Now(), Body: body}}
	f.reconcileFromStart()
	f.waitForStatus(orderID, StatusAuthorized)
	if got := f.countByType("payments." + events.FirstPaymentID(orderID))["webhook_received"]; got != 1 {
		t.Errorf("webhooks of the payment: got %d, want 1", got)
	}
	f.expectNoDeadLetters()
}

// Row 76 of the fault matrix: while Stripe is not available the walk ends, and the next one begins at the same place.
func TestTemporaryErrorEndsTheWalk(t *testing.T) {
	t.Parallel()
	list := &listedEvents{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: func(g Gateway) Gateway { return unavailableIntents{list.wrap(g)} }})
	orderID := f.requestPayment(1250)
	p := PaymentBody{PaymentIntent: "pi_1", Amount: 1250}
	list.entries = []RawEvent{{ID: "evt_1", Created: time.Now(), Body: webhookBody(p, orderID, "refund.created", refundOfIntent("pi_1"))}}
	if err := f.service.reconcileEvents(t.Context()); !errors.Is(err, ErrRetry) {
		t.Errorf("walk while Stripe is down: got %v, want %v", err, ErrRetry)
	}
	if got := f.service.cursor.since; !got.IsZero() {
		t.Errorf("start of the next walk: got %s, want the same as before", got)
	}
	f.expectCounted(webhookUnreadable, 0)
}

// unavailableIntents is a gateway that returns no intent.
type unavailableIntents struct{ Gateway }

// RetrieveIntent implements [Gateway].
func (unavailableIntents) RetrieveIntent(context.Context, string) (Intent, error) {
	return Intent{}, &GatewayError{Kind: ErrRetry, Status: http.StatusServiceUnavailable}
}

// Row 76 of the fault matrix: entries of a page without a readable id or time are handed on, and the next page follows.
func TestUnreadableEntriesOfAPageAreHandedOn(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"":      `{"object":"list","has_more":true,"data":[{"id":"evt_1","created":5,"request":"req_1"},null,{"id":7,"created":6},{"id":"evt_3","created":"now"},["x"]]}`,
		"evt_3": `{"object":"list","has_more":false,"data":["?",{"id":"evt_4","created":4}]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, pages[r.FormValue("starting_after")])
	}))
	defer server.Close()
	gateway := newStripeGateway(stripeOptions{key: secretKey, base: server.URL, now: time.Now, logger: slog.New(slog.DiscardHandler)})
	var got []string
	err := gateway.ListEvents(t.Context(), time.Unix(1, 0), time.Unix(9, 0), WebhookEventTypes(), func(raw RawEvent) error {
		got = append(got, fmt.Sprintf("%s@%d", raw.ID, raw.Created.Unix()))
		return nil
	})
	if diff := cmp.Diff([]string{"evt_1@5", "@0", "@6", "evt_3@0", "@0", "@0", "evt_4@4"}, got); diff != "" || err != nil {
		t.Errorf("entries (-want +got), error %v:\n%s", err, diff)
	}
}

// Rows 75 and 76 of the fault matrix: another shop uses the same account, and half of the events are in an old version. The purchases end
// as always, with nothing for staff to do.
func TestPurchasesBesideAnotherShopAndOldEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	if err := f.stripe.SetFaults(sandbox.Faults{Seed: 7, Webhooks: sandbox.WebhookFaults{OldVersion: 0.5, Foreign: 0.5}}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []sandbox.Foreign{sandbox.ForeignNoMetadata, sandbox.ForeignNullMetadata, sandbox.ForeignOrder, sandbox.ForeignRefund} {
		if err := f.stripe.AddForeign(kind); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		orderID, p := f.buy(1250)
		f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}})
		f.waitForStatus(orderID, StatusRefunded)
	}
	f.reconcileAfter(time.Minute)
	f.expectCounted(webhookUnreadable, 0)
	f.expectNoDeadLetters()
}
