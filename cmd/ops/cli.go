package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/target"
)

// Exit codes.
const (
	exitOK          = 0
	exitOff         = 1   // done, and what was looked at is not as it should be
	exitFailed      = 2   // wrong usage, or it could not be done
	exitInterrupted = 130 // as a shell reports Ctrl-C
)

// errOff is returned by a command that has said what is off.
var errOff = errors.New("something is off")

const description = `Look at a running shop, fill its shelves, check its promises, mend its copies, back it up.

The shop is found by --shop FILE, the ready file of a shop that runs in one process (go run ./cmd/shop --ready-file shop.json); by addresses, for a shop in many processes; or by ./data/ready.json when nothing is given.

Exit codes: 0 done, and all is well; 1 done, and something is off; 2 could not be done; 130 interrupted.`

// commands is the command line.
type commands struct {
	ImportItems importItems `cmd:"" name:"import-items" help:"List the items of a sales ledger (CSV) in the shop."`
	Orders      listOrders  `cmd:"" help:"List orders, newest first."`
	Timeline    timeline    `cmd:"" help:"Show everything that happened to one order, causes before effects."`
	Tail        tail        `cmd:"" help:"Show events as they happen."`
	Lag         lag         `cmd:"" help:"Show how far each lane of the workers is behind."`
	DeadLetters deadLetters `cmd:"" name:"deadletters" help:"Show the events that lanes could not handle; have them handled again, or discard them."`
	Pause       pause       `cmd:"" help:"Stop lanes until they are resumed."`
	Resume      resume      `cmd:"" help:"Let paused lanes go on."`
	Rebuild     rebuild     `cmd:"" help:"Compare projections with the log and mend what differs, while the shop sells."`
	Repair      repair      `cmd:"" help:"Compare log and archive, and give each back what it has lost."`
	Topology    topology    `cmd:"" help:"Show which topology the shop and its processes have; add what a new release needs."`
	Void        void        `cmd:"" help:"Have an event that cannot be read count no more."`
	Backup      backUp      `cmd:"" help:"Write a backup of the shop, while it sells."`
	Restore     restore     `cmd:"" help:"Put a backup into an empty installation."`
	Verify      verify      `cmd:"" help:"Check the shop's promises; exit 1 and name what is off."`
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, out *terminal) int {
	helped := false
	parser, err := kong.New(&commands{}, kong.Name("ops"), kong.Description(description), kong.Vars(target.Vars()),
		kong.Writers(out.out, out.err), kong.Exit(func(int) { helped = true }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(out))
	if err != nil {
		return out.fail(err)
	}
	command, err := parser.Parse(args)
	if helped {
		return exitOK
	}
	if err != nil {
		return out.fail(fmt.Errorf("%w; see ops --help", err))
	}
	err = command.Run()
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errOff):
		return exitOff
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return exitInterrupted
	}
	return out.fail(err)
}
