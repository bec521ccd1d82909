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
	exitProblem     = 1   // done; the answer shows that something is wrong
	exitFailed      = 2   // wrong usage, or the command could not be carried out
	exitInterrupted = 130 // as shells report Ctrl-C
)

// errProblem is returned by a command that was carried out, and whose answer shows what is wrong with the shop.
var errProblem = errors.New("something is wrong")

const description = `Operate a running shop: follow its orders and events, check its promises, handle dead letters, repair its data, back it up.

The shop is found through --shop FILE, the ready file of a shop in one process (go run ./cmd/shop --ready-file shop.json); through addresses, for a shop in many processes; or through ./data/ready.json if neither is given.

Exit codes: 0 done, nothing is wrong; 1 done, something is wrong; 2 could not be done; 130 interrupted.`

// commands is the command line.
type commands struct {
	ImportItems importItemsCommand `cmd:"" name:"import-items" help:"Import the items of a sales ledger (CSV)."`
	Orders      ordersCommand      `cmd:"" help:"List orders, newest first."`
	Timeline    timelineCommand    `cmd:"" help:"Show everything that happened to one order."`
	Tail        tailCommand        `cmd:"" help:"Show events as they are appended."`
	Lag         lagCommand         `cmd:"" help:"Show how far each lane is behind, and which process runs it."`
	DeadLetters deadLettersCommand `cmd:"" name:"deadletters" help:"List, show, redrive or discard dead letters: events that lanes could not handle."`
	Redeliver   redeliverCommand   `cmd:"" help:"Have lanes handle events again, whether or not they could before."`
	Replays     replaysCommand     `cmd:"" help:"List, show, approve or stop replays."`
	Pause       pauseCommand       `cmd:"" help:"Stop lanes until they are resumed."`
	Resume      resumeCommand      `cmd:"" help:"End the pause of lanes."`
	Rebuild     rebuildCommand     `cmd:"" help:"Compare projections with the log and write what differs."`
	Repair      repairCommand      `cmd:"" help:"Compare log and archive; restore what either lacks."`
	Topology    topologyCommand    `cmd:"" help:"Compare the broker with what this release needs; add what is missing."`
	Void        voidCommand        `cmd:"" help:"Make every process skip an event."`
	Backup      backupCommand      `cmd:"" help:"Write a backup while the shop sells."`
	Restore     restoreCommand     `cmd:"" help:"Restore a backup into an empty installation."`
	Verify      verifyCommand      `cmd:"" help:"Check every promise of the shop."`
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, out *terminal) int {
	helped := false
	parser, err := kong.New(&commands{}, kong.Name("ops"), kong.Description(description), kong.Vars(target.Vars()),
		kong.Writers(out.out, out.err), kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: columns}),
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
	case errors.Is(err, errProblem):
		return exitProblem
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return exitInterrupted
	}
	return out.fail(err)
}
