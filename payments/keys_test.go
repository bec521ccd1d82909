package payments

import (
	"strings"
	"testing"
)

// Row 45 of the fault matrix: the process does not start with an empty or malformed webhook secret. Nor does it with keys that do not
// belong together or not to the server.
func TestStripeSettingsAreChecked(t *testing.T) {
	t.Parallel()
	sandbox := Config{SecretKey: "sk_test_tillstream_1", PublishableKey: "pk_test_tillstream_1", WebhookSecret: webhookSecret, StripeAPIBase: "http://127.0.0.1:12111"}
	live := Config{SecretKey: "sk_live_1", PublishableKey: "pk_live_1", WebhookSecret: "whsec_" + strings.Repeat("aB3", 11)}
	test := Config{SecretKey: "sk_test_1", PublishableKey: "pk_test_1", WebhookSecret: webhookSecret}
	for name, tc := range map[string]struct {
		config Config
		change func(*Config)
		want   string // in the error; "" for none
	}{
		"Sandbox":           {sandbox, func(*Config) {}, ""},
		"Live":              {live, func(*Config) {}, ""},
		"LiveByName":        {live, func(c *Config) { c.StripeAPIBase = "https://api.stripe.com/" }, ""},
		"Restricted":        {live, func(c *Config) { c.SecretKey = "rk_live_1" }, ""},
		"Test":              {test, func(*Config) {}, ""},
		"StripeMock":        {test, func(c *Config) { c.StripeAPIBase = "http://127.0.0.1:12111" }, ""},
		"NoSecret":          {sandbox, func(c *Config) { c.WebhookSecret = "" }, "STRIPE_WEBHOOK_SECRET"},
		"BlankSecret":       {sandbox, func(c *Config) { c.WebhookSecret = " " }, "STRIPE_WEBHOOK_SECRET"},
		"PrefixAlone":       {sandbox, func(c *Config) { c.WebhookSecret = "whsec_" }, "STRIPE_WEBHOOK_SECRET"},
		"Placeholder":       {sandbox, func(c *Config) { c.WebhookSecret = "whsec_..." }, "STRIPE_WEBHOOK_SECRET"},
		"EndpointID":        {live, func(c *Config) { c.WebhookSecret = "we_" + strings.Repeat("1", 24) }, "STRIPE_WEBHOOK_SECRET"},
		"TrailingBlank":     {live, func(c *Config) { c.WebhookSecret += "\n" }, "without blanks"},
		"Quoted":            {live, func(c *Config) { c.WebhookSecret = `"` + c.WebhookSecret + `"` }, "without blanks or quotes"},
		"NoSecretKey":       {live, func(c *Config) { c.SecretKey = "" }, "STRIPE_SECRET_KEY"},
		"PublishableTwice":  {live, func(c *Config) { c.SecretKey = "pk_live_1" }, "STRIPE_SECRET_KEY"},
		"SecretTwice":       {live, func(c *Config) { c.PublishableKey = "sk_live_1" }, "STRIPE_PUBLISHABLE_KEY"},
		"MixedModes":        {live, func(c *Config) { c.PublishableKey = "pk_test_1" }, "both be live"},
		"MixedServers":      {sandbox, func(c *Config) { c.PublishableKey = "pk_test_1" }, "both be keys of the sandbox"},
		"LiveAtSandbox":     {live, func(c *Config) { c.StripeAPIBase = "http://127.0.0.1:12111" }, "Unset STRIPE_API_BASE"},
		"LiveElsewhere":     {live, func(c *Config) { c.StripeAPIBase = "https://api.stripe.com.example" }, "Unset STRIPE_API_BASE"},
		"SandboxAtStripe":   {sandbox, func(c *Config) { c.StripeAPIBase = "" }, "set STRIPE_API_BASE"},
		"SandboxByName":     {sandbox, func(c *Config) { c.StripeAPIBase = "https://api.stripe.com" }, "set STRIPE_API_BASE"},
		"StripeUnencrypted": {test, func(c *Config) { c.StripeAPIBase = "http://api.stripe.com" }, "unencrypted"},
		"BadURL":            {test, func(c *Config) { c.StripeAPIBase = "somewhere" }, "STRIPE_API_BASE"},
		"OtherScheme":       {test, func(c *Config) { c.StripeAPIBase = "ftp://127.0.0.1" }, "STRIPE_API_BASE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.change(&tc.config)
			err := tc.config.CheckStripe()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Fatalf("got error %v, want one with %q", err, tc.want)
			}
			if err != nil && tc.config.SecretKey != "" && strings.Contains(err.Error(), tc.config.SecretKey) {
				t.Errorf("the error %q contains the key", err)
			}
		})
	}
}
