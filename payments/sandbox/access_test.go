package sandbox_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/payments/sandbox"
)

func TestKeysAuthorizeTheirRoutes(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.create()
	intent := "/v1/payment_intents/" + in.ID
	secret := url.Values{"client_secret": {in.ClientSecret}}
	wrong := url.Values{"client_secret": {in.ClientSecret + "x"}}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(secretKey+":"))
	tests := map[string]struct {
		method, path string
		form         url.Values
		auth         string
		status       int
	}{
		"SecretKey":              {"GET", intent, nil, "Bearer " + secretKey, 200},
		"BasicAuth":              {"GET", intent, nil, basic, 200},
		"NoKey":                  {"GET", intent, nil, "", 401},
		"WrongKey":               {"GET", intent, nil, "Bearer sk_test_other", 401},
		"SecretKeyUnknownIntent": {"GET", "/v1/payment_intents/pi_none", nil, "Bearer " + secretKey, 404},
		"ShopperReads":           {"GET", intent + "?" + secret.Encode(), nil, "Bearer " + publishableKey, 200},
		"ShopperReadsByParam":    {"GET", intent + "?key=" + publishableKey + "&" + secret.Encode(), nil, "", 200},
		"ShopperNoSecret":        {"GET", intent, nil, "Bearer " + publishableKey, 400},
		"ShopperWrongSecret":     {"GET", intent + "?" + wrong.Encode(), nil, "Bearer " + publishableKey, 400},
		"ShopperLists":           {"GET", "/v1/payment_intents", nil, "Bearer " + publishableKey, 401},
		"ShopperCaptures":        {"POST", intent + "/capture", secret, "Bearer " + publishableKey, 401},
		"ShopperRefunds":         {"POST", "/v1/refunds", url.Values{"payment_intent": {in.ID}}, "Bearer " + publishableKey, 401},
		"ShopperWrongConfirm":    {"POST", intent + "/confirm", wrong, "Bearer " + publishableKey, 400},
		"UnknownRoute":           {"GET", "/v1/customers", nil, "Bearer " + secretKey, 404},
		"UnknownMethod":          {"DELETE", intent, nil, "Bearer " + secretKey, 404},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.mustSend(test.method, test.path, test.form, "Authorization", test.auth)
			if got.status != test.status {
				t.Fatalf("got status %d, want %d: %s", got.status, test.status, got.body)
			}
			if !strings.HasPrefix(got.header.Get("Request-Id"), "req_") {
				t.Errorf("got request id %q, want one that begins with req_", got.header.Get("Request-Id"))
			}
			var body struct {
				Error *struct{ Type, Message string }
			}
			got.decode(t, &body)
			if (body.Error == nil) != (test.status == 200) || body.Error != nil && body.Error.Message == "" {
				t.Errorf("got body %s, want an error with a message unless the status is 200", got.body)
			}
		})
	}
}

func TestShopperPaysFromAnyOriginAndSeesOnlyThePublicPart(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.create()
	path := "/v1/payment_intents/" + in.ID + "/confirm"
	preflight := s.mustSend("OPTIONS", path, nil, "Origin", "http://shop.example", "Access-Control-Request-Method", "POST")
	if preflight.status != http.StatusNoContent || preflight.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(preflight.header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("preflight: got %d %v, want 204 that allows every origin and Authorization", preflight.status, preflight.header)
	}
	form := typedCard("4242424242424242", "12", "2050", "123")
	form.Set("client_secret", in.ClientSecret)
	key, value := bearer(publishableKey)
	got := s.mustSend("POST", path, form, key, value, "Origin", "http://shop.example")
	if got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("confirm: got %d %v %s, want 200 for every origin", got.status, got.header, got.body)
	}
	var shown map[string]any
	got.decode(t, &shown)
	if shown["status"] != "requires_capture" || shown["client_secret"] != in.ClientSecret {
		t.Errorf("got intent %v, want requires_capture with its client secret", shown)
	}
	for _, hidden := range []string{"metadata", "latest_charge", "amount_received", "amount_capturable", "customer"} {
		if _, ok := shown[hidden]; ok {
			t.Errorf("got %s in the public intent, want it hidden", hidden)
		}
	}
}

func TestDeclinedShopperSeesOnlyThePublicPart(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.create()
	form := typedCard("4000000000000002", "12", "2050", "123")
	form.Set("client_secret", in.ClientSecret)
	key, value := bearer(publishableKey)
	got := s.mustSend("POST", "/v1/payment_intents/"+in.ID+"/confirm", form, key, value)
	var body struct {
		Error struct {
			PaymentIntent map[string]any `json:"payment_intent"`
		}
	}
	got.decode(t, &body)
	if got.status != http.StatusPaymentRequired || body.Error.PaymentIntent["status"] != "requires_payment_method" {
		t.Errorf("got status %d, body %s; want 402 with requires_payment_method", got.status, got.body)
	}
	if _, ok := body.Error.PaymentIntent["metadata"]; ok {
		t.Error("got metadata in the public intent, want it hidden")
	}
}

func TestUnreadableRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	key, value := bearer(secretKey)
	asJSON := s.mustSend("POST", "/v1/payment_intents", newIntentForm(), key, value, "Content-Type", "application/json")
	huge := newIntentForm()
	huge.Set("description", strings.Repeat("x", 300<<10))
	large := s.mustSend("POST", "/v1/payment_intents", huge, key, value)
	long := s.mustSend("POST", "/v1/payment_intents", newIntentForm(), key, value, "Idempotency-Key", strings.Repeat("k", 256))
	if diff := cmp.Diff([]int{400, 413, 400}, []int{asJSON.status, large.status, long.status}); diff != "" {
		t.Errorf("statuses of JSON, huge form, long key (-want +got):\n%s", diff)
	}
}

func TestNewNamesTheInvalidField(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*sandbox.Config){
		"SecretKey":      func(c *sandbox.Config) { c.SecretKey = "sk_live_1" },
		"PublishableKey": func(c *sandbox.Config) { c.PublishableKey = "" },
		"WebhookSecret":  func(c *sandbox.Config) { c.WebhookSecret = "" },
		"WebhookURL":     func(c *sandbox.Config) { c.WebhookURL = "/webhooks" },
		"BaseURL":        func(c *sandbox.Config) { c.BaseURL = "ftp://x" },
	}
	for field, change := range tests {
		config := sandbox.Config{SecretKey: secretKey, PublishableKey: publishableKey, WebhookSecret: webhookSecret}
		change(&config)
		if _, err := sandbox.New(config); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got error %v, want one that names the field", field, err)
		}
	}
}
