package storefront_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/cmd/internal/storefront"
)

// offerDebit makes the order one that can be paid by card or by debit, with an intent of a sandbox.
func offerDebit(t *testing.T, a *api) *httptest.Server {
	t.Helper()
	return startSandboxWith(t, a, url.Values{"amount": {"9295"}, "currency": {"eur"}, "payment_method_types[]": {"card", "sepa_debit"}},
		map[string]any{"currency": "EUR", "methods": []string{"card", "sepa_debit"}})
}

// A shopper chooses a debit with the keyboard, corrects the IBAN, and sees until when the bank may need; after the failure the order can be
// paid in another way.
func TestShopperPaysByDebit(t *testing.T) {
	t.Parallel()
	for _, width := range []int64{390, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			a := newAPI()
			stripe := offerDebit(t, a)
			shop := openShop(t, storefront.Config{API: a, SandboxURL: stripe.URL})
			tab := browsertest.Open(t, width)
			tab.Visit(shop.URL + "/orders/" + orderID + "#token=" + secret)
			tab.See(".pay-methods", "SEPA Direct Debit")
			tab.Click("[name=method][value=card]")
			tab.Do(browsertest.Keys(kb.ArrowDown))
			tab.See(".pay [for=iban]", "IBAN")
			tab.Fill("#iban", "DE12")
			tab.Click(".pay [type=submit]")
			tab.See("#payment-problem", "Please enter the IBAN")
			tab.Shot(fmt.Sprintf("%d-debit", width))
			tab.NoSideScroll()
			tab.Click("[data-iban='DE08370400440532013003']")
			tab.Click(".pay [type=submit]")
			tab.See("#payment-wait", "Payment received.")
			if status := intentStatus(t, stripe, a); status != "processing" {
				t.Errorf("intent status = %q, want processing", status)
			}
			a.setPayment("processing", map[string]any{"methods": []string{"card", "sepa_debit"}})
			a.set("awaiting_payment", map[string]any{"deadline_reason": "payment_processing"})
			tab.See("#headline", "Your bank is processing the payment")
			tab.See("#story", "January 5, 2099")
			tab.Until("document.getElementById('payment').hidden")
			tab.Shot(fmt.Sprintf("%d-processing", width))
			tab.NoSideScroll()
			a.setPayment("intent_created", map[string]any{"methods": []string{"card", "sepa_debit"},
				"last_error": map[string]any{"code": "payment_intent_payment_attempt_failed", "message": "The payment failed."}})
			a.set("awaiting_payment", map[string]any{"deadline_reason": "processing_failed"})
			tab.See("#headline", "Your bank has not paid")
			tab.See("#payment-problem", "The payment failed.")
			tab.See(".pay [type=submit]", "Pay")
		})
	}
}
