package payments

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"

	eventlog "tillstream/events/log"
)

func TestConfigNamesTheInvalidField(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string // in the error; "" for none
		live   bool
	}{
		"Test":           {func(*Config) {}, "", false},
		"NoLog":          {func(c *Config) { c.Log = nil }, "Config.Log", false},
		"NoDB":           {func(c *Config) { c.DB = nil }, "Config.DB", false},
		"NoAccess":       {func(c *Config) { c.Access = nil }, "Config.Access", false},
		"NegativePeriod": {func(c *Config) { c.ReconcileEvery = -1 }, "Config.ReconcileEvery", false},
		"NegativeRate":   {func(c *Config) { c.StripeRate = -1 }, "Config.StripeRate", false},
		"LiveMode": {func(c *Config) {
			c.SecretKey, c.PublishableKey, c.StripeAPIBase = "sk_live_x", "pk_live_x", ""
		}, "", true},
		"KeysChecked": {func(c *Config) { c.SecretKey = "" }, "Config.SecretKey", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := Config{Log: &eventlog.Log{}, DB: &mongo.Database{}, Access: tokenAccess{}, SecretKey: secretKey,
				PublishableKey: publishableKey, WebhookSecret: webhookSecret, StripeAPIBase: "http://127.0.0.1:12111"}
			tc.change(&config)
			s, err := New(config)
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want == "" && s.livemode != tc.live:
				t.Errorf("livemode: got %t, want %t", s.livemode, tc.live)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}
