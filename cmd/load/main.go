// Command load buys from a shop as many shoppers would, and says how fast it was and whether every promise held.
//
//	load --shop shop.json --orders 5000 --concurrency 64
//	load --shop shop.json --csv online-retail.csv
//	load --processes --orders 5000 --concurrency 64
//	load --soak 10m --faults --seed 7
//
// It ends with 0 when every purchase was confirmed, cancelled as its shopper wanted or sold out, and nothing was found
// wrong, else with 1.
//
// With --processes, and for a soak without a shop, load has a shop of its own, of many processes as in production
// (cmd/internal/proof/fleet), which a soak may hurt (cmd/internal/proof/chaos). Ctrl-C ends a soak early; what was bought by then is verified all the same.
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
	flags := kong.Parse(&c, kong.Name("load"), kong.Description("Buy from a shop, as many shoppers would, and report how it went."),
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

// exit ends with 1 whatever was wrong. Kong has a code of its own for wrong usage, which scripts would take for another.
func exit(code int) { os.Exit(min(code, 1)) }
