package payments

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76/webhook"

	"tillstream/events"
)

// posted numbers the events that the tests post, because Stripe's events have different ids.
var posted atomic.Int64

// webhookBody returns the body of a webhook about an authorized intent. change may change the intent.
func webhookBody(p PaymentBody, orderID, kind string, change func(object map[string]any)) []byte {
	object := map[string]any{"id": p.PaymentIntent, "object": "payment_intent", "amount": p.Amount, "currency": "gbp",
		"amount_capturable": p.Amount, "amount_received": 0, "status": "requires_capture", "livemode": false,
		"latest_charge": "ch_posted", "client_secret": p.ClientSecret, "metadata": map[string]any{"order_id": orderID, "payment_id": events.FirstPaymentID(orderID)}}
	if change != nil {
		change(object)
	}
	body, err := json.Marshal(map[string]any{"id": fmt.Sprintf("evt_posted_%d", posted.Add(1)), "object": "event", "api_version": "2023-10-16", "created": time.Now().Unix(),
		"livemode": false, "type": kind, "data": map[string]any{"object": object}})
	if err != nil {
		panic(err)
	}
	return body
}

// sign returns Stripe's signature of a body.
func sign(body []byte, secret string, at time.Time) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(webhook.ComputeSignature(at, body, secret)))
}

// postWebhook posts a webhook.
func (f *fixture) postWebhook(body []byte, signature string) (status int) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.shopURL+"/webhooks/stripe", bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	if signature != "" {
		request.Header.Set("Stripe-Signature", signature)
	}
	return f.do(request, nil)
}

// Row 45 of the fault matrix: a body without a valid and recent signature of Stripe is refused, and nothing is stored.
//
// API10 of the OWASP API Top 10.
func TestForgedWebhooksAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	body := webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)
	now := time.Now()
	wrongVersion := []byte(strings.Replace(string(body), "2023-10-16", "2019-01-01", 1))
	for name, tc := range map[string]struct {
		body      []byte
		signature string
	}{
		"NoHeader":      {body, ""},
		"EmptyParts":    {body, ",,="},
		"Garbage":       {body, "garbage"},
		"NoTime":        {body, "v1=" + strings.Split(sign(body, webhookSecret, now), "v1=")[1]},
		"NoSignature":   {body, fmt.Sprintf("t=%d", now.Unix())},
		"TimeNoNumber":  {body, "t=now,v1=00"},
		"WrongSecret":   {body, sign(body, "whsec_other", now)},
		"EmptySecret":   {body, sign(body, "", now)},
		"OldScheme":     {body, strings.Replace(sign(body, webhookSecret, now), "v1=", "v0=", 1)},
		"Stale":         {body, sign(body, webhookSecret, now.Add(-6*time.Minute))},
		"Future":        {body, sign(body, webhookSecret, now.Add(6*time.Minute))},
		"ChangedBody":   {[]byte(strings.Replace(string(body), "1250", "1", 1)), sign(body, webhookSecret, now)},
		"EmptyBody":     {nil, sign(nil, webhookSecret, now)},
		"NotJSON":       {[]byte("{"), sign([]byte("{"), webhookSecret, now)},
		"NotAnEvent":    {[]byte(`{"api_version":"2023-10-16"}`), sign([]byte(`{"api_version":"2023-10-16"}`), webhookSecret, now)},
		"OtherVersion":  {wrongVersion, sign(wrongVersion, webhookSecret, now)},
		"ReplayedTime":  {body, strings.Replace(sign(body, webhookSecret, now.Add(-time.Hour)), "t=", fmt.Sprintf("t=%d,t=", now.Unix()), 1)},
		"TimeAppended":  {body, sign(body, webhookSecret, now.Add(-time.Hour)) + fmt.Sprintf(",t=%d", now.Unix())},
		"DoubledMember": {[]byte(`{"id":"evt_1","id":"evt_2","type":"x","api_version":"2023-10-16","data":{"object":{}}}`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "DoubledMember" {
				tc.signature = sign(tc.body, webhookSecret, now)
			}
			if got := f.postWebhook(tc.body, tc.signature); got != http.StatusBadRequest {
				t.Errorf("HTTP %d, want 400", got)
			}
		})
	}
	if got := f.webhooksStored(); got != 0 {
		t.Errorf("stored webhooks: got %d, want 0", got)
	}
	for _, at := range []time.Time{now, now.Add(-4 * time.Minute), now.Add(4 * time.Minute)} {
		if got := f.postWebhook(body, sign(body, webhookSecret, at)); got != http.StatusOK {
			t.Errorf("valid signature: HTTP %d, want 200", got)
		}
	}
	f.waitForStatus(orderID, StatusAuthorized)
}

// Row 46 of the fault matrix: a body that is too large is answered 413, one that does not arrive in time 408.
func TestLargeAndSlowWebhooksAreRejected(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	body := []byte(`{"id":"evt_1","type":"x","api_version":"2023-10-16","data":{"object":{"x":"` + strings.Repeat("x", 1<<20) + `"}}}`)
	if got := f.postWebhook(body, sign(body, webhookSecret, time.Now())); got != http.StatusRequestEntityTooLarge {
		t.Errorf("body of 1 MiB: HTTP %d, want 413", got)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.shopURL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "POST /webhooks/stripe HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestTimeout {
		t.Errorf("body that never arrives: HTTP %d, want 408", answer.StatusCode)
	}
	if got := f.webhooksStored(); got != 0 {
		t.Errorf("stored webhooks: got %d, want 0", got)
	}
}

// Row 41 of the fault matrix: one webhook is posted ten times at once.
func TestTenIdenticalPostsAtOnceHaveOneEffect(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	body := webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)
	signature := sign(body, webhookSecret, time.Now())
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if got := f.postWebhook(body, signature); got != http.StatusOK {
				t.Errorf("HTTP %d, want 200", got)
			}
		})
	}
	group.Wait()
	f.waitForStatus(orderID, StatusAuthorized)
	// The lane decides in order, so a later payment shows that it has handled all ten.
	other, q := f.placeOrder(100)
	body = webhookBody(q, other, "payment_intent.amount_capturable_updated", nil)
	f.postWebhook(body, sign(body, webhookSecret, time.Now()))
	f.waitForStatus(other, StatusAuthorized)
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["authorized"] != 1 {
		t.Errorf("events of the payment: got %v, want one authorized", got)
	}
	if got := f.webhooksStored(); got != 2 {
		t.Errorf("stored webhooks: got %d, want 2", got)
	}
}

// Rows 39 and 63 of the fault matrix: a signed event with another payment, amount, currency or mode becomes a dead letter, and
// the next event is handled.
func TestMismatchedWebhooksBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	set := func(key string, value any) func(map[string]any) {
		return func(object map[string]any) { object[key] = value }
	}
	metadata := func(payment string) map[string]any { return map[string]any{"order_id": orderID, "payment_id": payment} }
	mismatched := map[string][]byte{
		"another order":       webhookBody(p, "another order", "payment_intent.amount_capturable_updated", set("metadata", map[string]any{"order_id": "another order", "payment_id": events.FirstPaymentID(orderID)})),
		"has amount 0.01 GBP": webhookBody(p, orderID, "payment_intent.succeeded", set("amount", 1)),
		"USD":                 webhookBody(p, orderID, "payment_intent.amount_capturable_updated", set("currency", "usd")),
		"livemode true":       webhookBody(p, orderID, "payment_intent.amount_capturable_updated", set("livemode", true)),
		"has 1 capturable":    webhookBody(p, orderID, "payment_intent.amount_capturable_updated", set("amount_capturable", 1)),
		"requires_magic":      webhookBody(p, orderID, "payment_intent.amount_capturable_updated", set("status", "requires_magic")),
		"not pi_other":        webhookBody(p, orderID, "payment_intent.amount_capturable_updated", set("id", "pi_other")),
		"unknown-payment":     webhookBody(p, orderID, "payment_intent.amount_capturable_updated", set("metadata", metadata("unknown-payment"))),
		"invalid id":          webhookBody(p, orderID, "payment_intent.amount_capturable_updated", set("metadata", metadata("payments.>"))),
		`has object "charge"`: webhookBody(p, orderID, "payment_intent.succeeded", set("object", "charge")),
		"cannot unmarshal":    webhookBody(p, orderID, "payment_intent.succeeded", set("amount", "much")),
		"not pi_gone":         webhookBody(p, orderID, "charge.refunded", set("payment_intent", "pi_gone")),
	}
	for _, body := range mismatched {
		if got := f.postWebhook(body, sign(body, webhookSecret, time.Now())); got != http.StatusOK {
			t.Errorf("HTTP %d, want 200", got)
		}
	}
	body := webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)
	f.postWebhook(body, sign(body, webhookSecret, time.Now()))
	f.waitForStatus(orderID, StatusAuthorized)
	f.waitUntil("every mismatched event is a dead letter", func() bool { return len(f.deadLetters()) >= len(mismatched) })
	reasons := ""
	for _, dead := range f.deadLetters() {
		reasons += dead.Error + "\n"
	}
	for reason := range mismatched {
		if !strings.Contains(reasons, reason) {
			t.Errorf("dead letters: want one with %q, got:\n%s", reason, reasons)
		}
	}
	ours, others := f.countByType("payments." + events.FirstPaymentID(orderID))["webhook_received"], f.countByType(events.SubjectWebhooks)["webhook_received"]
	if ours != 11 || others != 2 {
		t.Errorf("stored webhooks: got %d on the payment and %d on payments.webhooks, want 11 and 2", ours, others)
	}
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["authorized"] != 1 || got["captured"] != 0 {
		t.Errorf("events of the payment: got %v, want one authorized and none captured", got)
	}
}

// Events of types that the shop does not handle are stored and skipped.
func TestOtherEventTypesAreStoredAndIgnored(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	for _, kind := range []string{"customer.created", "charge.succeeded", "made.up"} {
		body := webhookBody(p, orderID, kind, nil)
		if got := f.postWebhook(body, sign(body, webhookSecret, time.Now())); got != http.StatusOK {
			t.Errorf("%s: HTTP %d, want 200", kind, got)
		}
	}
	body := webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)
	f.postWebhook(body, sign(body, webhookSecret, time.Now()))
	f.waitForStatus(orderID, StatusAuthorized)
	f.expectNoDeadLetters()
}

// Stripe delivers a webhook again after a 503.
func TestWebhookGets503WhileTheLogIsDown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	body := []byte(`{"id":"evt_1","type":"x","api_version":"2023-10-16","data":{"object":{}}}`)
	f.log.Close()
	if got := f.postWebhook(body, sign(body, webhookSecret, time.Now())); got != http.StatusServiceUnavailable {
		t.Errorf("HTTP %d, want 503", got)
	}
}

func TestClientSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"Member":  {`{"a":1,"client_secret":"pi_1_secret_x","b":2}`, `{"a":1,"b":2}`},
		"Nested":  {`{"data":{"object":{"client_secret":{"x":[1,{"y":2}]},"id":"pi_1"}},"l":[{"client_secret":null}]}`, `{"data":{"object":{"id":"pi_1"}},"l":[{}]}`},
		"InText":  {`{"url":"https://bank.example/x?a=1&client_secret=pi_1_secret_x&b=2"}`, `{"url":"https://bank.example/x?a=1&cut&b=2"}`},
		"Source":  {`{"s":"src_1_client_secret_x","t":"see pi_3Kx_secret_9Qz."}`, `{"s":"cut","t":"see cut."}`},
		"Numbers": {`{"n":12345678901234567890.10,"e":1e400,"z":-0}`, `{"n":12345678901234567890.10,"e":1e400,"z":-0}`},
		"Person": {`{"id":"ch_1","billing_details":{"email":"a@b.example"},"receipt_email":"a@b.example","receipt_url":"https://pay.stripe.example/receipts/x","last":{"payment_method":{"billing_details":{"name":"A"},"id":"pm_1"}},"shipping":{"name":"A"},"evidence_details":{"due_by":1}}`,
			`{"id":"ch_1","last":{"payment_method":{"id":"pm_1"}},"evidence_details":{"due_by":1}}`},
		"Value":   {`{"kind":"client_secret","ok":true}`, `{"kind":"client_secret","ok":true}`},
		"Escapes": {`{"a\u0062":"\u00e9 \ud83d\ude00 \"q\""}`, `{"ab":"é 😀 \"q\""}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := redactSecrets([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("want-, got+:\n%s", diff)
			}
		})
	}
	for _, body := range []string{`{`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}", `{"a":1}}`} {
		if got, err := redactSecrets([]byte(body)); err == nil {
			t.Errorf("redact %s: got %s, want an error", body, got)
		}
	}
}
