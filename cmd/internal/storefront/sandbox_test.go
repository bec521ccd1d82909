package storefront_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/cmd/internal/storefront"
	"tillstream/payments/sandbox"
)

// startSandbox runs the real sandbox with one payment intent for the order.
func startSandbox(t *testing.T, a *api) *httptest.Server {
	t.Helper()
	return startSandboxWith(t, a, url.Values{"amount": {"9295"}, "currency": {"gbp"}, "capture_method": {"manual"}}, nil)
}

// startSandboxWith is startSandbox with an intent of these parameters, and further fields of the order's payment.
func startSandboxWith(t *testing.T, a *api, form url.Values, fields map[string]any) *httptest.Server {
	t.Helper()
	stripe, err := sandbox.New(sandbox.Config{SecretKey: "sk_test_tillstream_1", PublishableKey: "pk_test_tillstream_1", WebhookSecret: "whsec_1"})
	if err != nil {
		t.Fatalf("build sandbox: %v", err)
	}
	server := httptest.NewServer(stripe)
	t.Cleanup(server.Close)
	response, body := do(t, http.MethodPost, server.URL+"/v1/payment_intents", form.Encode(),
		"Authorization", "Bearer sk_test_tillstream_1", "Content-Type", "application/x-www-form-urlencoded")
	var intent struct {
		ID           string
		ClientSecret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(body), &intent); err != nil || intent.ClientSecret == "" {
		t.Fatalf("create intent: %d %s (%v)", response.StatusCode, body, err)
	}
	shown := map[string]any{"payment_intent": intent.ID, "client_secret": intent.ClientSecret}
	maps.Copy(shown, fields)
	a.setPayment("intent_created", shown)
	a.set("awaiting_payment", nil)
	return server
}

// intentStatus reads the status of the payment intent from the sandbox.
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

// A declined card, a bank that refuses, then a bank that approves.
func TestShopperPaysAfterRefusedSandboxCards(t *testing.T) {
	t.Parallel()
	a := newAPI()
	stripe := startSandbox(t, a)
	shop := openShop(t, storefront.Config{API: a, SandboxURL: stripe.URL})
	tab := browsertest.Open(t, 390)
	tab.Visit(shop.URL + "/orders/" + orderID + "#token=" + secret)
	pay := func(card string) {
		tab.Click("[data-card='" + card + "']")
		tab.Click(".pay [type=submit]")
	}
	pay("4000000000000002")
	tab.See("#payment-problem", "Your card was declined.")
	pay("4000002500003155")
	tab.Click("button[value=fail]")
	tab.See("#payment-problem", "Your bank did not approve the payment.")
	pay("4000002500003155")
	tab.Click("button[value=complete]")
	tab.See("#payment-wait", "Payment received.")
	if status := intentStatus(t, stripe, a); status != "requires_capture" {
		t.Errorf("intent status = %q, want requires_capture", status)
	}
	if address := browsertest.Evaluate[string](tab, "location.href"); strings.Contains(address, "?") {
		t.Errorf("address = %s, want it without the bank's answer", address)
	}
	// A tab that does not show the payment yet: paying again must report success, not an error.
	tab.Reload()
	pay("4242424242424242")
	tab.See("#payment-wait", "Payment received.")
}

// 3-D Secure in the page: the shopper answers the bank in a frame with the keyboard, first not at all, then with no, then with yes. The
// page is never left.
func TestShopperConfirmsWithTheBankInThePage(t *testing.T) {
	t.Parallel()
	for _, width := range []int64{390, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			a := newAPI()
			stripe := startSandbox(t, a)
			shop := openShop(t, storefront.Config{API: a, SandboxURL: stripe.URL})
			tab := browsertest.Open(t, width)
			tab.Visit(shop.URL + "/orders/" + orderID + "#token=" + secret)
			tab.Click("[name=in_page]")
			browsertest.Evaluate[bool](tab, "window.stayed = true")
			pay := func(answer func()) {
				tab.Click("[data-card='4000002500003155']")
				tab.Click(".pay [type=submit]")
				tab.Until("document.activeElement.tagName === 'IFRAME' && document.querySelector('dialog.bank').ariaBusy === null")
				tab.Shot(fmt.Sprintf("%d-bank-in-page", width))
				tab.NoSideScroll()
				answer()
				tab.Until("!document.querySelector('dialog.bank')")
			}
			pay(func() { tab.Click(".bank button") })
			tab.See("#payment-problem", "Your bank has not confirmed the payment yet.")
			pay(func() { tab.Do(browsertest.Keys(kb.Tab + kb.Tab + kb.Enter)) })
			tab.See("#payment-problem", "Your bank did not approve the payment.")
			pay(func() { tab.Do(browsertest.Keys(kb.Tab + kb.Enter)) })
			tab.See("#payment-wait", "Payment received.")
			if status := intentStatus(t, stripe, a); status != "requires_capture" {
				t.Errorf("intent status = %q, want requires_capture", status)
			}
			if !browsertest.Evaluate[bool](tab, "window.stayed === true") {
				t.Error("the page was left")
			}
		})
	}
}
