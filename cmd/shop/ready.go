package main

import (
	"fmt"
	"io"
	"path/filepath"

	"tillstream/cmd/internal/address"
	"tillstream/cmd/internal/target"
)

// writeReady writes the ready files, from which scripts, cmd/load and cmd/ops read the addresses of the shop.
func writeReady(config Config, ready target.Shop) (err error) {
	if ready.Data, err = filepath.Abs(config.Data); err != nil {
		return fmt.Errorf("resolve data directory: %w", err)
	}
	for _, path := range []string{config.dir("ready.json"), config.ReadyFile} {
		if path == "" {
			continue
		}
		if err := writeJSON(path, ready); err != nil {
			return err
		}
	}
	return nil
}

// printReady prints the addresses of the shop. It leaves out passwords, because others may read a terminal or a journal.
func printReady(w io.Writer, r target.Shop, data string) {
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
