package main

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A shop in a container listens on all addresses. What it tells shoppers is an address that they can open: in pages, in mails, in the
// links to the bank's page and in the start-up message.
func TestShopOnAllAddressesTellsOnlyAddressesThatShoppersCanOpen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ public, sandbox, browsers string }{
		"SandboxAtTheHostOfTheShop": {"http://localhost:8080", "", "http://localhost:"},
		"SandboxBehindAProxy":       {"https://shop.example", "https://pay.example/", "https://pay.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ts := startShop(t, func(config *Config) {
				expose(config)
				config.HTTP, config.PublicURL, config.SandboxURL = "[::]:0", c.public, c.sandbox
			})
			browsers := c.browsers
			if _, port, _ := net.SplitHostPort(strings.TrimPrefix(ts.Stripe, "http://")); c.sandbox == "" {
				browsers += port
			}
			ts.list(t, "MUG", 1250, 10)
			o := ts.place(t, cart("ada", line{"MUG", 1}))
			page := ts.get(t, "/orders/"+o.ID, "")
			isTold(t, "order page", string(page.Body), `data-sandbox="`+browsers+`"`)
			isTold(t, "Content-Security-Policy", page.Header.Get("Content-Security-Policy"), "connect-src 'self' "+browsers+";")
			isTold(t, "link to the bank's page", ts.challenge(t, o), browsers+"/3ds/")
			ts.settle(t, o)
			isTold(t, "mail", ts.mailed(t, o.Email, 1)[0].Text, c.public+"/orders/"+o.ID)
			var out bytes.Buffer
			printReady(&out, ts.Shop, ts.config, "")
			isTold(t, "start-up message", strings.Split(out.String(), "Other machines")[0], c.public)
			if host := strings.Split(strings.TrimPrefix(browsers, "https://"), "/")[0]; c.sandbox != "" && statusAt(t, ts.Stripe+"/v1/balance", host) == http.StatusMisdirectedRequest {
				t.Errorf("the sandbox refuses requests to %s, at which browsers reach it", host)
			}
		})
	}
}

// isTold fails unless a text contains an address, and no address on which servers listen.
func isTold(t *testing.T, what, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) || strings.Contains(text, "[::]") || strings.Contains(text, "0.0.0.0") {
		t.Errorf("%s: got %q, want %q in it, and no unspecified address", what, text, want)
	}
}

func TestAddressesThatNobodyCanOpenAreRefused(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*Config, string){
		"PUBLIC_URL":         func(c *Config, to string) { c.PublicURL = to },
		"OPS_PUBLIC_URL":     func(c *Config, to string) { c.OpsURL = to },
		"SANDBOX_PUBLIC_URL": func(c *Config, to string) { c.SandboxURL = to },
	} {
		for address, good := range map[string]bool{"http://[::]:8080": false, "http://0.0.0.0:8080": false, "shop.example": false, "https://shop.example": true} {
			config := testConfig(t, nil)
			set(&config, address)
			if err := config.Validate(); (err == nil) != good || err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%s: got error %v, want one that names the setting: %t", name, address, err, !good)
			}
		}
	}
	live := testConfig(t, nil)
	live.StripeSecretKey, live.StripePublishableKey, live.StripeWebhookSecret, live.SandboxURL = "sk_live_x", "pk_live_x", "whsec_x", "https://pay.example"
	if err := live.Validate(); err == nil || !strings.Contains(err.Error(), "SANDBOX_PUBLIC_URL") {
		t.Errorf("SANDBOX_PUBLIC_URL with keys of Stripe: got error %v, want one that names it", err)
	}
}

func TestStartUpMessageSaysThatBrowsersRefuseTheSandbox(t *testing.T) {
	t.Parallel()
	for sandbox, warned := range map[string]bool{"": true, "https://pay.example": false} {
		var out bytes.Buffer
		config := testConfig(t, func(c *Config) { expose(c); c.PublicURL, c.SandboxURL = "https://shop.example", sandbox })
		printExposed(&out, config)
		if text := out.String(); strings.Contains(text, "SANDBOX_PUBLIC_URL") != warned {
			t.Errorf("start-up message with SANDBOX_PUBLIC_URL=%q =\n%s\nwant a warning: %t", sandbox, text, warned)
		}
	}
}
