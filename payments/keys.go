package payments

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// sandboxMark is in the keys of the sandbox (package sandbox), as in sk_test_tillstream_… No key of Stripe contains it, so a key
// of the sandbox is recognised before it is sent to Stripe.
const sandboxMark = "_test_tillstream_"

// stripeHost is the host of Stripe's own API.
const stripeHost = "api.stripe.com"

// webhookSecretForm is the form of a webhook secret. Stripe's have 32 or more letters and digits after the prefix.
var webhookSecretForm = regexp.MustCompile(`^whsec_[A-Za-z0-9+/=_-]{16,250}$`)

// isSandboxKey reports whether a key was made for the sandbox.
func isSandboxKey(key string) bool { return strings.Contains(key, sandboxMark) }

// CheckStripe returns an error for keys that do not belong together or not to the server, and for a webhook secret that is no
// secret: an empty one would accept a signature that anyone can make. The errors name the setting and what to do, and do not repeat a
// key. [New] calls it, and programs call it before they connect to anything.
func (c Config) CheckStripe() error {
	if !webhookSecretForm.MatchString(c.WebhookSecret) {
		return errors.New("payments: Config.WebhookSecret (STRIPE_WEBHOOK_SECRET) must be the signing secret of the webhook endpoint: whsec_ and at least 16 letters or digits, " +
			"without blanks or quotes. Stripe's dashboard shows it at Developers, Webhooks, the endpoint, \"Reveal\"")
	}
	live, err := livemode("SecretKey (STRIPE_SECRET_KEY)", c.SecretKey, "sk", "rk")
	if err != nil {
		return err
	}
	publishableLive, err := livemode("PublishableKey (STRIPE_PUBLISHABLE_KEY)", c.PublishableKey, "pk")
	if err != nil {
		return err
	}
	if live != publishableLive {
		return errors.New("payments: Config.SecretKey (STRIPE_SECRET_KEY) and Config.PublishableKey (STRIPE_PUBLISHABLE_KEY) must both be live or both be test keys: copy both from the same page of Stripe's dashboard")
	}
	if isSandboxKey(c.SecretKey) != isSandboxKey(c.PublishableKey) {
		return errors.New("payments: Config.SecretKey (STRIPE_SECRET_KEY) and Config.PublishableKey (STRIPE_PUBLISHABLE_KEY) must both be keys of the sandbox or both of Stripe: set both, or neither")
	}
	return c.validateServer(live)
}

// validateServer refuses live keys with a server that is not Stripe, and keys of the sandbox with Stripe.
func (c Config) validateServer(live bool) error {
	base, err := url.Parse(c.StripeAPIBase)
	if err != nil || c.StripeAPIBase != "" && (base.Host == "" || base.Scheme != "http" && base.Scheme != "https") {
		return fmt.Errorf("payments: Config.StripeAPIBase (STRIPE_API_BASE) %q is not a web address, such as http://127.0.0.1:12111", c.StripeAPIBase)
	}
	stripe := c.StripeAPIBase == "" || base.Hostname() == stripeHost
	switch {
	case live && !stripe:
		return fmt.Errorf("payments: Config.SecretKey (STRIPE_SECRET_KEY) is a live key, and Config.StripeAPIBase (STRIPE_API_BASE) %q is not Stripe: it must not get a key that moves real money. "+
			"Unset STRIPE_API_BASE, or use test keys", c.StripeAPIBase)
	case stripe && isSandboxKey(c.SecretKey):
		return errors.New("payments: Config.SecretKey (STRIPE_SECRET_KEY) is a key of the sandbox, which Stripe does not know: set STRIPE_API_BASE to the address of the sandbox, or set keys of your Stripe account")
	case stripe && base.Scheme == "http":
		return errors.New("payments: Config.StripeAPIBase (STRIPE_API_BASE) must begin with https:// for Stripe: the secret key would be sent unencrypted")
	}
	return nil
}

// livemode reports whether a key is for live mode, by its prefix. The error does not repeat the key.
func livemode(field, key string, kinds ...string) (bool, error) {
	for _, kind := range kinds {
		switch {
		case strings.HasPrefix(key, kind+"_live_"):
			return true, nil
		case strings.HasPrefix(key, kind+"_test_"):
			return false, nil
		}
	}
	return false, fmt.Errorf("payments: Config.%s must start with %s_live_ or %s_test_", field, kinds[0], kinds[0])
}
