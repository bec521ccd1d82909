package storefront_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/cmd/internal/storefront"
	"tillstream/payments/sandbox"
)

// till is the real sandbox with one payment intent for the order.
func till(t *testing.T, a *api) *httptest.Server {
	t.Helper()
	stripe, err := sandbox.New(sandbox.Config{SecretKey: "sk_test_tillstream_1", PublishableKey: "pk_test_tillstream_1", WebhookSecret: "whsec_1"})
	if err != nil {
		t.Fatalf("build sandbox: %v", err)
	}
	server := httptest.NewServer(stripe)
	t.Cleanup(server.Close)
	form := url.Values{"amount": {"9295"}, "currency": {"gbp"}, "capture_method": {"manual"}}
	response, body := do(t, http.MethodPost, server.URL+"/v1/payment_intents", form.Encode(),
		"Authorization", "Bearer sk_test_tillstream_1", "Content-Type", "application/x-www-form-urlencoded")
	var intent struct {
		ID           string
		ClientSecret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(body), &intent); err != nil || intent.ClientSecret == "" {
		t.Fatalf("create intent: %d %s (%v)", response.StatusCode, body, err)
	}
	a.setPayment("intent_created", map[string]any{"payment_intent": intent.ID, "client_secret": intent.ClientSecret})
	a.set("awaiting_payment", nil)
	return server
}

// intentStatus asks the sandbox what the shopper achieved.
func intentStatus(t *testing.T, stripe *httptest.Server, a *api) string {
	t.Helper()
	id := a.payment["payment_intent"].(string)
	_, body := do(t, http.MethodGet, stripe.URL+"/v1/payment_intents/"+id, "", "Authorization", "Bearer sk_test_tillstream_1")
	var intent struct{ Status string }
	if err := json.Unmarshal([]byte(body), &intent); err != nil {
		t.Fatalf("read intent: %s (%v)", body, err)
	}
	return intent.Status
}

// TestCardFormAtTheSandbox pays as a shopper may: a declined card, one whose bank refuses, one whose bank agrees.
func TestCardFormAtTheSandbox(t *testing.T) {
	t.Parallel()
	a := newAPI()
	stripe := till(t, a)
	shop := openShop(t, storefront.Config{API: a, SandboxURL: stripe.URL})
	tab := browsertest.Open(t, 390)
	tab.Visit(shop.URL + "/orders/" + orderID + "#token=" + secret)
	pay := func(card string) {
		tab.Click("[data-card='" + card + "']")
		tab.Click(".pay [type=submit]")
	}
	pay("4000000000000002")
	tab.See("#payment-problem", "The card was declined.")
	pay("4000002500003155")
	tab.Click("button[value=fail]")
	tab.See("#payment-problem", "Your bank did not approve the payment.")
	pay("4000002500003155")
	tab.Click("button[value=complete]")
	tab.See("#payment-wait", "Payment received.")
	if status := intentStatus(t, stripe, a); status != "requires_capture" {
		t.Errorf("the intent is %s, want requires_capture", status)
	}
	if address := browsertest.Evaluate[string](tab, "location.href"); strings.Contains(address, "?") {
		t.Errorf("the bank's answer is still in the address: %s", address)
	}
	// A second tab that does not know it yet: paying again must tell the truth, not an error.
	tab.Reload()
	pay("4242424242424242")
	tab.See("#payment-wait", "Payment received.")
}
