// Command database runs FerretDB on SQLite as a process of its own. A fleet uses it where no MongoDB is available for fault
// injection.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/process"
	"tillstream/events/embedded"
)

type settings struct {
	Addr string `help:"Address to listen on." default:"127.0.0.1:0"`
	Dir  string `help:"Directory for its files." required:""`
}

func main() {
	var s settings
	kong.Parse(&s, kong.Name("database"), kong.UsageOnError(), kong.Description("Serves MongoDB's protocol and stores documents in SQLite."))
	ctx, cancel := process.UntilSignal(os.Stderr)
	defer cancel()
	logger := process.Logger(os.Stderr, slog.LevelWarn, false).With("process", "database")
	if err := run(ctx, s, logger); err != nil {
		logger.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, logger *slog.Logger) error {
	server, err := embedded.StartMongo(embedded.MongoConfig{Addr: s.Addr, Dir: s.Dir, Logger: logger})
	if err != nil {
		return err
	}
	defer server.Stop()
	fmt.Fprintf(os.Stdout, "database listens on %s\n", server.URI())
	<-ctx.Done()
	return nil
}
