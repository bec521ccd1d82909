// Command load simulates shoppers: it buys from a shop, reports speed and latency, and checks the shop's invariants.
//
//	load --shop shop.json --orders 5000 --concurrency 64
//	load --shop shop.json --csv online-retail.csv
//	load --processes --orders 5000 --concurrency 64
//	load --soak 10m --faults --seed 7
//	load --orders 2000 --faults payments --seed 7
//	load --attack --seed 7
//	load --redeliver --orders 1000
//	load --incident --mail-incident --refuse-for 1m
//
// The exit status is 0 if every purchase was confirmed, cancelled as intended or out of stock and every checked invariant
// holds, else 1.
//
// One run:
//
//	flags ──► open (catalogue) ──► plan (baskets) ──► restock ──► buy ──► verify ──► report ──► compare sums (--csv)
//
// A soak test (--soak) buys for a time instead of a number of orders. Ctrl-C ends it early; the orders placed until then are
// verified. With --processes, and in the modes below unless flags name a shop, load starts a local shop: separate processes on this
// machine, as in production (cmd/internal/proof/fleet). An attack (--attack) does to it what strangers do (cmd/internal/proof/attack)
// while shoppers buy; a redelivery (--redeliver) handles all events again meanwhile and must change nothing
// (cmd/internal/proof/redelivery). An incident (--incident, --mail-incident) is played in it by staff who use ops
// (cmd/internal/proof/incident). A soak test of such a shop may inject faults (cmd/internal/proof/chaos). With --faults payments the
// Stripe sandbox loses webhooks and fails (payments/sandbox), and the money of every order is compared with what its shopper has paid.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/target"
)

func main() {
	var c command
	flags := kong.Parse(&c, kong.Name("load"), kong.Description("Simulate shoppers, and report speed, errors and invariants."),
		kong.Vars(target.Vars()), kong.ValueFormatter(kong.DefaultHelpValueFormatter), kong.Exit(exit))
	ctx, cancel := process.UntilSignal(os.Stderr)
	defer cancel()
	err := c.run(ctx, os.Stdout, os.Stderr)
	if errors.Is(err, errFailed) || errors.Is(err, context.Canceled) {
		flags.Errorf("%v", err)
		flags.Exit(1)
	}
	flags.FatalIfErrorf(err)
}

// exit exits with 1 for every error. Kong has a status of its own for wrong usage, which scripts do not expect.
func exit(code int) { os.Exit(min(code, 1)) }
