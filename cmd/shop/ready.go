package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"tillstream/cmd/internal/address"
	"tillstream/cmd/internal/target"
)

// writeReady writes the ready files, from which scripts, cmd/load and cmd/ops read the addresses and tokens of the shop.
func writeReady(config Config, ready target.Shop) (err error) {
	if ready.Data, err = filepath.Abs(config.Data); err != nil {
		return fmt.Errorf("resolve data directory: %w", err)
	}
	for _, path := range []string{config.dir(readyFile), config.ReadyFile} {
		if path == "" {
			continue
		}
		if err := writeJSON(path, ready); err != nil {
			return err
		}
	}
	return nil
}

// readyFile is the ready file in the data directory.
const readyFile = "ready.json"

// printReady prints the addresses of the shop: those for this machine, and the one that shoppers are told. It leaves out passwords
// and keys.
func printReady(w io.Writer, r target.Shop, config Config, console string) {
	fmt.Fprintf(w, `The shop is open. Data is in %s.

  Storefront     %s
  Shoppers use   %s
  Staff console  %s
  API            %s/docs
  Mailbox        %s
  Stripe         %s
  NATS           %s
  MongoDB        %s

Credentials of broker and database, and an API key for ops, are in
%s.
`, config.Data, r.Storefront, orElse(config.PublicURL, "", r.Storefront), console, r.Storefront, orElse(r.Mail, "/mail", "your mail server"), orElse(r.Stripe, "", "api.stripe.com"),
		address.Redacted(r.NATS), hostOf(r.MongoDB), config.dir(readyFile))
	printExposed(w, config)
	fmt.Fprint(w, "\nCtrl-C closes it.\n")
}

// printClosed prints the addresses of a closed shop and what it is for.
func printClosed(w io.Writer, r target.Shop, config Config) {
	fmt.Fprintf(w, `The shop is closed: it sells nothing. Data is in %s.

  NATS         %s
  MongoDB      %s

Run ops repair or ops restore with --shop %s.
`, config.Data, address.Redacted(r.NATS), hostOf(r.MongoDB), config.dir(readyFile))
	printExposed(w, config)
	fmt.Fprint(w, "\nCtrl-C stops it. Then start the shop without --closed.\n")
}

// hostOf returns the address of a database without its options, which are paths of key files and too long for a terminal.
func hostOf(uri string) string {
	host, _, _ := strings.Cut(address.Redacted(uri), "?")
	return host
}

func orElse(base, path, otherwise string) string {
	if base == "" {
		return otherwise
	}
	return base + path
}
