// Command shop runs the whole shop in one process: embedded servers, all four workers and the storefront. It is the
// newcomer's door and a real single-node deployment.
package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/process"
)

func main() {
	var config Config
	kong.Parse(&config, kong.Name("shop"), kong.UsageOnError(),
		kong.Description("Runs the whole shop in one process. Everything it needs is inside; data is kept in one directory."))
	tuneRuntime(config.MemoryLimit)
	ctx, cancel := process.UntilSignal(os.Stderr)
	defer cancel()
	logger := process.Logger(os.Stderr, config.LogLevel, config.LogJSON)
	err := config.Arm(logger)
	if err == nil {
		err = Run(ctx, config, logger, os.Stdout)
	}
	process.End(ctx, logger, err)
}

// tuneRuntime suits a process whose threads mostly wait for the disk, unless the environment says otherwise.
//
// A thread in fsync keeps its processor until the scheduler notices: with as many processors as cores the others stand
// still meanwhile. Measured on two cores under load, 4 instead of 2 doubled the purchases per second; 8 cost more processor
// time than they brought. Half of what lives on the heap is the caches', whose size is bounded, so it may grow a little
// further than usual before it is collected, but not beyond the limit: at 100 the collector takes 12 % of the processor time
// of a purchase, at 150 8 %, for 50 MB more.
func tuneRuntime(limit MemoryLimit) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * runtime.NumCPU())
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(150)
	}
	if os.Getenv("GOMEMLIMIT") == "" && limit > 0 {
		debug.SetMemoryLimit(int64(limit))
	}
}
