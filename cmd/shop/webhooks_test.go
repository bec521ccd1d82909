package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/events"
)

// signed returns Stripe's signature of a body.
func signed(body []byte, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// postWebhook posts a body as Stripe does; an empty signature sends no header.
func (ts *testShop) postWebhook(t *testing.T, body []byte, signature string) answer {
	t.Helper()
	r := ts.request(t, http.MethodPost, "/webhooks/stripe", "", bytes.NewReader(body))
	if signature != "" {
		r.Header.Set("Stripe-Signature", signature)
	}
	return ts.send(t, r)
}

// An attacker who has everything except the secret cannot report a payment.
func TestForgedWebhooksAreRefused(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	o := ts.place(t, cart("eve", line{"MUG", 1}))
	offer := ts.checkout(t, o)
	body := fmt.Appendf(nil, `{"id":"evt_forged","object":"event","api_version":"2023-10-16","type":"payment_intent.succeeded","livemode":false,`+
		`"data":{"object":{"id":%q,"object":"payment_intent","status":"succeeded","amount":1250,"amount_received":1250,"currency":"gbp",`+
		`"livemode":false,"metadata":{"order_id":%q,"payment_id":%q}}}}`, offer.Intent, o.ID, events.FirstPaymentID(o.ID))
	var kept secrets
	readFile(t, ts.config.dir("secrets.json"), &kept)
	secret, now := kept.StripeWebhookSecret, time.Now()
	changed := bytes.Replace(body, []byte(o.ID), []byte(strings.Repeat("0", len(o.ID))), 1)
	otherVersion := bytes.Replace(body, []byte("2023-10-16"), []byte("2019-01-01"), 1)
	large := append(bytes.Clone(body[:len(body)-1]), []byte(`,"pad":"`+strings.Repeat("x", 257<<10)+`"}`)...)
	for name, c := range map[string]struct {
		body      []byte
		signature string
		status    int
	}{
		"NoHeader":         {body, "", badRequest},
		"EmptySignature":   {body, "t=,v1=", badRequest},
		"NotASignature":    {body, "trust me", badRequest},
		"OtherSecret":      {body, signed(body, "whsec_other", now), badRequest},
		"EmptySecret":      {body, signed(body, "", now), badRequest},
		"ChangedBody":      {changed, signed(body, secret, now), badRequest},
		"Stale":            {body, signed(body, secret, now.Add(-6*time.Minute)), badRequest},
		"FromTheFuture":    {body, signed(body, secret, now.Add(6*time.Minute)), badRequest},
		"RefreshedTime":    {body, fmt.Sprintf("t=%d,%s", now.Unix(), strings.SplitN(signed(body, secret, now.Add(-time.Hour)), ",", 2)[1]), badRequest},
		"WithoutTime":      {body, strings.SplitN(signed(body, secret, now), ",", 2)[1], badRequest},
		"OldScheme":        {body, strings.Replace(signed(body, secret, now), "v1=", "v0=", 1), badRequest},
		"OtherAPIVersion":  {otherVersion, signed(otherVersion, secret, now), badRequest},
		"SignedButNoEvent": {[]byte(`[]`), signed([]byte(`[]`), secret, now), badRequest},
		"SignedButNoJSON":  {[]byte(`{`), signed([]byte(`{`), secret, now), badRequest},
		"TooLarge":         {large, signed(large, secret, now), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			a := ts.postWebhook(t, c.body, c.signature)
			if a.Status != c.status {
				t.Errorf("status %d, want %d: %.300s", a.Status, c.status, a.Body)
			}
			isProblem(t, a)
		})
	}
	if stored := ts.history(t, events.SubjectWebhooks); len(stored) > 0 {
		t.Errorf("%d webhooks were stored, want 0", len(stored))
	}
	if got := ts.read(t, o); got.Status != "awaiting_payment" {
		t.Errorf("order status = %q, want awaiting_payment", got.Status)
	}
	// A webhook with a valid signature is stored, so the others failed for their signatures. This one changes nothing.
	harmless := bytes.Replace(body, []byte("payment_intent.succeeded"), []byte("payment_intent.created"), 1)
	if a := ts.postWebhook(t, harmless, signed(harmless, secret, now)); a.Status != http.StatusOK {
		t.Fatalf("valid webhook: status %d, want 200: %s", a.Status, a.Body)
	}
	stored := slices.DeleteFunc(ts.history(t, events.PrefixPayment+events.FirstPaymentID(o.ID)), func(e events.Event) bool {
		_, ok := e.Payload.(events.WebhookReceived)
		return !ok
	})
	if len(stored) != 1 {
		t.Errorf("%d webhooks are stored, want 1", len(stored))
	}
}
