package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"tillstream/payments"
	"tillstream/payments/sandbox"
)

// serve starts a sandbox whose webhooks go to an address.
func serve(t *testing.T, webhook string) (base string) {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{SecretKey: "sk_test_1", PublishableKey: "pk_test_1", WebhookSecret: "whsec_1", WebhookURL: webhook})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}

func TestCheckSaysWhatToFix(t *testing.T) {
	t.Parallel()
	const shop = "http://shop.example"
	base, none := serve(t, shop+"/webhooks/stripe"), serve(t, "")
	keys := []string{"--stripe-secret-key", "sk_test_1", "--stripe-publishable-key", "pk_test_1", "--public-url", shop}
	tests := map[string]struct {
		args   []string
		status int
		out    string // a part of the answer
		err    string // a part of the error
	}{
		"Ready":          {append(keys, "--stripe-api-base", base), checkOK, "The account is ready.", ""},
		"NoEndpoint":     {append(keys, "--stripe-api-base", none), checkFix, "→ create one with this address, API version " + payments.StripeAPIVersion, ""},
		"WrongKey":       {append(keys, "--stripe-api-base", base, "--stripe-secret-key", "sk_test_2"), checkFix, "→ Stripe does not know the secret key", ""},
		"NoKey":          {append(keys, "--stripe-api-base", base, "--stripe-secret-key", "whsec_2"), checkUnknown, "", "must start with sk_live_ or sk_test_"},
		"NobodyAnswers":  {append(keys, "--stripe-api-base", "http://127.0.0.1:1"), checkUnknown, "", "refused"},
		"UnknownSetting": {append(keys, "--nothing"), checkUnknown, "", "--nothing"},
		"Help":           {[]string{"--help"}, checkOK, "payments check --json", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errors bytes.Buffer
			if got := check(t.Context(), test.args, &out, &errors); got != test.status {
				t.Errorf("exit status: got %d, want %d", got, test.status)
			}
			if !strings.Contains(out.String(), test.out) || !strings.Contains(errors.String(), test.err) {
				t.Errorf("got %s and the error %s, want %q and %q", out.String(), errors.String(), test.out, test.err)
			}
			if strings.Contains(out.String()+errors.String(), "sk_test_") && name != "NoKey" {
				t.Errorf("got %s%s, want no key in it", out.String(), errors.String())
			}
		})
	}
	var out, errors bytes.Buffer
	var report payments.CheckReport
	if got := check(t.Context(), append(keys, "--stripe-api-base", base, "--json"), &out, &errors); got != checkOK {
		t.Errorf("exit status with --json: got %d, want %d: %s", got, checkOK, errors.String())
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || !report.OK || report.Mode != "test" || report.Account == "" || len(report.Items) < 8 {
		t.Errorf("answer with --json: got %s, %v; want the report of an account that is ready", out.String(), err)
	}
}
