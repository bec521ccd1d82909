package payments

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/payments/sandbox"
)

// fakeAccount is an account that is ready to take the payments of https://shop.example.
type fakeAccount struct {
	account  map[string]any
	endpoint map[string]any
	refused  string // the objects that the key may not read
}

func newFakeAccount(live bool) *fakeAccount {
	return &fakeAccount{
		account: map[string]any{"id": "acct_1", "country": "DE", "default_currency": "eur", "charges_enabled": true, "payouts_enabled": true},
		endpoint: map[string]any{"id": "we_1", "url": "https://shop.example/webhooks/stripe", "api_version": StripeAPIVersion, "livemode": live,
			"enabled_events": WebhookEventTypes(), "status": "enabled"},
	}
}

// ServeHTTP implements http.Handler.
func (a *fakeAccount) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	objects := strings.TrimPrefix(r.URL.Path, "/v1/")
	var answer any = map[string]any{"data": []any{}}
	switch {
	case r.Header.Get("Stripe-Version") != StripeAPIVersion || !strings.Contains(r.Header.Get("Authorization"), "Bearer "):
		http.Error(w, "no version or no key", http.StatusInternalServerError)
		return
	case objects == a.refused:
		w.WriteHeader(http.StatusForbidden)
		answer = map[string]any{"error": map[string]any{"type": "invalid_request_error",
			"message": "The provided key 'rk_test_***' does not have the required permissions for this endpoint."}}
	case objects == "account":
		answer = a.account
	case objects == "webhook_endpoints":
		answer = map[string]any{"data": []any{map[string]any{"id": "we_other", "url": "https://other.example/hook"}, a.endpoint}}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err)
	}
}

// Row 75 of the fault matrix: everything about an account that would keep the shop from its events is found, and what to do is said.
func TestAccountCheckFindsWhatMustBeFixed(t *testing.T) {
	t.Parallel()
	const secretTest, secretLive, publicTest, publicLive = "sk_test_1", "sk_live_1", "pk_test_1", "pk_live_1"
	endpoint := func(key string, value any) func(*fakeAccount) {
		return func(a *fakeAccount) { a.endpoint[key] = value }
	}
	tests := map[string]struct {
		secret, public string
		address        string
		change         func(*fakeAccount)
		want           []string // items that must be fixed
		fix            string   // a part of what is said about them
	}{
		"ReadyLive":     {secretLive, publicLive, "", nil, nil, ""},
		"ReadyTest":     {secretTest, publicTest, "", nil, nil, ""},
		"Restricted":    {"rk_test_1", publicTest, "", nil, nil, "write access to PaymentIntents"},
		"AllEvents":     {secretTest, publicTest, "", endpoint("enabled_events", []string{"*"}), nil, "every event of the account"},
		"Preview":       {secretTest, publicTest, "", endpoint("api_version", StripeAPIVersion+"; a_beta=v1"), nil, ""},
		"TestAccount":   {secretTest, publicTest, "", func(a *fakeAccount) { a.account["charges_enabled"] = false }, nil, "complete the account"},
		"Charges":       {secretLive, publicLive, "", func(a *fakeAccount) { a.account["charges_enabled"] = false }, []string{"charges"}, "complete the account"},
		"Payouts":       {secretLive, publicLive, "", func(a *fakeAccount) { a.account["payouts_enabled"] = false }, []string{"payouts"}, "bank account"},
		"MixedKeys":     {secretLive, publicTest, "", nil, []string{"mode of the keys"}, "same mode"},
		"Plain":         {secretLive, publicLive, "http://shop.example", endpoint("url", "http://shop.example/webhooks/stripe"), []string{"address for Stripe"}, "PUBLIC_URL"},
		"NoEndpoint":    {secretTest, publicTest, "https://b.example/", nil, []string{"webhook endpoint"}, "STRIPE_WEBHOOK_SECRET"},
		"Disabled":      {secretTest, publicTest, "", endpoint("status", "disabled"), []string{"we_1 status"}, "enable the endpoint"},
		"OtherMode":     {secretTest, publicTest, "", endpoint("livemode", true), []string{"we_1 mode"}, "in test mode"},
		"OldVersion":    {secretTest, publicTest, "", endpoint("api_version", "2019-12-03"), []string{"we_1 API version"}, "with version " + StripeAPIVersion},
		"NoVersion":     {secretTest, publicTest, "", endpoint("api_version", nil), []string{"we_1 API version"}, "with version " + StripeAPIVersion},
		"Events":        {secretTest, publicTest, "", endpoint("enabled_events", WebhookEventTypes()[2:]), []string{"we_1 events"}, strings.Join(WebhookEventTypes()[:2], ", ")},
		"NoAccount":     {"rk_test_1", publicTest, "", func(a *fakeAccount) { a.refused = "account" }, []string{"account"}, "read access to the account"},
		"NoEvents":      {"rk_test_1", publicTest, "", func(a *fakeAccount) { a.refused = "events" }, []string{"permission for events"}, "read access to events"},
		"NoEndpoints":   {"rk_test_1", publicTest, "", func(a *fakeAccount) { a.refused = "webhook_endpoints" }, []string{"webhook endpoint"}, "read access to webhook endpoints"},
		"SlashAtTheEnd": {secretTest, publicTest, "https://shop.example/", endpoint("url", "https://shop.example/webhooks/stripe/"), nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := newFakeAccount(strings.Contains(test.secret, "_live_"))
			if test.change != nil {
				test.change(account)
			}
			server := httptest.NewServer(account)
			defer server.Close()
			if test.address == "" {
				test.address = "https://shop.example"
			}
			report, err := AccountCheck{APIBase: server.URL, PublicURL: test.address, SecretKey: test.secret, PublishableKey: test.public}.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var bad []string
			for _, item := range report.Items {
				if !item.OK {
					bad = append(bad, item.Item)
				}
			}
			if diff := cmp.Diff(test.want, bad); diff != "" || report.OK != (len(bad) == 0) {
				t.Errorf("items that must be fixed (-want +got), ok %t:\n%s", report.OK, diff)
			}
			if text := fmt.Sprint(report.Items); !strings.Contains(text, test.fix) {
				t.Errorf("got %s, want %q in it", text, test.fix)
			}
		})
	}
}

// The sandbox delivers what the shop needs, in the version that it needs, and Stripe lists all of it in one request.
func TestSandboxDeliversWhatTheShopNeeds(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(WebhookEventTypes(), sandbox.DefaultWebhookEvents()); diff != "" || sandbox.APIVersion != StripeAPIVersion {
		t.Errorf("version %s, types of events (-shop +sandbox):\n%s", sandbox.APIVersion, diff)
	}
	if types := WebhookEventTypes(); len(types) > 20 || len(slices.Compact(slices.Sorted(slices.Values(types)))) != len(types) {
		t.Errorf("types of events: got %d, want at most 20 different ones", len(types))
	}
}

// The guide for deployment has the version and the types of events that the shop needs, and no other types.
func TestGuideNamesTheEventsOfTheEndpoint(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../deploy/PAYMENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(guide), "## The webhook endpoint\n")
	parts := strings.Split(section, "```\n")
	if len(parts) < 4 {
		t.Fatalf("section about the webhook endpoint: got %q, want a list of types and a command", section)
	}
	if diff := cmp.Diff(WebhookEventTypes(), strings.Fields(parts[1])); diff != "" {
		t.Errorf("types of events (-shop +guide):\n%s", diff)
	}
	for _, part := range append([]string{"api_version=" + StripeAPIVersion}, WebhookEventTypes()...) {
		if !strings.Contains(parts[3], part) {
			t.Errorf("command that creates the endpoint: want %s in it", part)
		}
	}
}

// A key that may not read everything is not said to. A server that redirects is not Stripe, and the key goes nowhere else.
func TestAccountCheckBelievesNoOtherServer(t *testing.T) {
	t.Parallel()
	account := newFakeAccount(false)
	account.refused = "events"
	stripe := httptest.NewServer(account)
	defer stripe.Close()
	other := httptest.NewServer(http.RedirectHandler(stripe.URL+"/v1/account", http.StatusFound))
	defer other.Close()
	check := AccountCheck{APIBase: stripe.URL, PublicURL: "https://shop.example", SecretKey: "rk_test_1", PublishableKey: "pk_test_1"}
	report, err := check.Run(t.Context())
	if text := fmt.Sprint(report.Items); err != nil || strings.Contains(text, "may read all") {
		t.Errorf("got %s, %v; want no word of a key that may read all", text, err)
	}
	check.APIBase = other.URL
	if report, err := check.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "HTTP 302") {
		t.Errorf("redirection: got %v, %v; want an error that names it", report.Items, err)
	}
}
