// Command shop runs the whole shop in one process: embedded servers, all four workers and the storefront. It is the
// newcomer's door and a real single-node deployment.
package main

import (
	"os"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/process"
)

func main() {
	var config Config
	kong.Parse(&config, kong.Name("shop"), kong.UsageOnError(),
		kong.Description("Runs the whole shop in one process. Everything it needs is inside; data is kept in one directory."))
	ctx, cancel := process.UntilSignal(os.Stderr)
	defer cancel()
	logger := process.Logger(os.Stderr, config.LogLevel, config.LogJSON)
	if err := Run(ctx, config, logger, os.Stdout); err != nil {
		logger.Error("stopped", "error", err)
		os.Exit(1)
	}
}
