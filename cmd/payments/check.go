package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/process"
	"tillstream/payments"
)

// checkSettings are the settings of payments check. They are settings of the worker, and of cmd/shop, under the same names.
type checkSettings struct {
	JSON                 bool   `name:"json" help:"Print JSON."`
	PublicURL            string `name:"public-url" env:"PUBLIC_URL" required:"" help:"Address at which Stripe reaches the shop, such as https://shop.example."`
	StripeAPIBase        string `name:"stripe-api-base" env:"STRIPE_API_BASE" help:"Address of a server that speaks Stripe's API; default: Stripe's own."`
	StripePublishableKey string `env:"STRIPE_PUBLISHABLE_KEY" required:"" help:"Publishable key of Stripe."`
	StripeSecretKey      string `env:"STRIPE_SECRET_KEY" required:"" help:"Secret key of Stripe. Prefer the environment variable: other users can read flags."`
}

const checkDescription = `Compare the Stripe account with what the shop needs, and say what to fix: the mode of the keys, the account, the permissions of a
restricted key, and the webhook endpoint with its API version and its types of events. It changes nothing, and needs neither broker nor
database. Give it the settings of the worker or of the shop. The exit status is 1 if something must be fixed, and 2 if the account could
not be checked.

Examples: payments check; payments check --json | jq '.items[] | select(.ok | not)'`

// The exit statuses of payments check.
const (
	checkOK      = 0
	checkFix     = 1
	checkUnknown = 2
)

// check runs payments check and returns its exit status.
func check(ctx context.Context, args []string, out, errors io.Writer) int {
	var s checkSettings
	exit := -1
	parser, err := kong.New(&s, kong.Name("payments check"), kong.Description(checkDescription), process.Help, kong.Writers(out, errors),
		kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(errors, "payments check:", err)
		return checkUnknown
	}
	_, err = parser.Parse(args)
	if exit >= 0 {
		return exit // after --help
	}
	var report payments.CheckReport
	if err == nil {
		report, err = payments.AccountCheck{APIBase: s.StripeAPIBase, PublicURL: s.PublicURL, PublishableKey: s.StripePublishableKey, SecretKey: s.StripeSecretKey}.Run(ctx)
	}
	if err == nil {
		err = printReport(out, report, s.JSON)
	}
	switch {
	case err != nil:
		fmt.Fprintln(errors, "payments check:", err)
		return checkUnknown
	case !report.OK:
		return checkFix
	}
	return checkOK
}

// printReport prints a report as JSON, or as a table with what to do about each item.
func printReport(out io.Writer, r payments.CheckReport, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, item := range r.Items {
		state := "ok"
		if !item.OK {
			state = "FIX"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", state, item.Item, item.Found)
		if item.Fix != "" {
			fmt.Fprintf(table, "\t\t→ %s\n", item.Fix)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	summary := "The account is ready."
	if !r.OK {
		summary = "Something must be fixed; run payments check again afterwards."
	}
	_, err := fmt.Fprintln(out, summary)
	return err
}
