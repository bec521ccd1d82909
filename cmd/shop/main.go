// Command shop runs the whole shop in one process: embedded servers, all four workers and the storefront. It is the
// quickest way to try Tillstream, and a complete deployment on a single node.
//
// The parts start in this order and stop in the reverse order, so that no part runs without those that it needs:
//
//	lock the data directory ──► secrets ──► servers (NATS, FerretDB, inbox, sandbox) ──► domains ──► HTTP ──► ready
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
	kong.Parse(&config, kong.Name("shop"), kong.ShortUsageOnError(),
		kong.Description("Runs the whole shop in one process, with an embedded broker, database, payment sandbox and mail inbox. All data is in one directory."))
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

// tuneRuntime tunes the Go runtime for a process whose threads mostly wait for the disk. Environment variables of the
// runtime take precedence.
//
// A thread in fsync keeps its processor until the scheduler notices, so with as many processors as cores other goroutines
// wait. Measured on two cores under load, GOMAXPROCS=4 instead of 2 doubled the purchases per second; 8 used more processor
// time than it gained. Caches of bounded size are half of the live heap, so it may grow further than usual before a
// collection, up to the limit: with GOGC=100 the collector takes 12 % of a purchase's processor time, with 150 it takes 8 %
// and 50 MB more memory.
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
