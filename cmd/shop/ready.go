package main

import (
	"fmt"
	"io"

	"tillstream/cmd/internal/address"
)

// Ready is the content of the ready file: the addresses and keys of the shop, for scripts, cmd/load and cmd/ops.
type Ready struct {
	Storefront           string `json:"storefront"`
	Mail                 string `json:"mail"`
	Stripe               string `json:"stripe"`
	StripeSecretKey      string `json:"stripe_secret_key"`
	StripePublishableKey string `json:"stripe_publishable_key"`
	NATS                 string `json:"nats"`
	MongoDB              string `json:"mongodb"`
	Ops                  string `json:"ops"`
	OpsToken             string `json:"ops_token"`
	Data                 string `json:"data"` // absolute path; ops backup reads the secrets there
}

func (r Ready) print(w io.Writer, data string) {
	fmt.Fprintf(w, `The shop is open. Data is in %s.

  Storefront   %s
  API          %s/docs
  Mailbox      %s
  Stripe       %s
  NATS         %s
  MongoDB      %s
  Ops token    %s

Ctrl-C closes it.
`, data, r.Storefront, r.Storefront, orElse(r.Mail, "/mail", "your mail server"), orElse(r.Stripe, "", "api.stripe.com"),
		address.Redacted(r.NATS), address.Redacted(r.MongoDB), r.OpsToken)
}

func orElse(base, path, otherwise string) string {
	if base == "" {
		return otherwise
	}
	return base + path
}
