package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

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
	Wide bool `help:"Do not fit the answer into 80 columns: shorten nothing, wrap nothing."`

	Status      statusCommand      `cmd:"" default:"withargs" help:"Show what is wrong now, and all commands; ops alone does the same."`
	ImportItems importItemsCommand `cmd:"" name:"import-items" help:"Import the items of a sales ledger (CSV)."`
	Orders      ordersCommand      `cmd:"" help:"List orders, newest first."`
	Order       orderCommand       `cmd:"" help:"Show one order: what was ordered, its money and messages, what to do next."`
	Cancel      cancelCommand      `cmd:"" help:"Cancel an order that is not paid yet."`
	Refund      refundCommand      `cmd:"" help:"Refund an order, in full or in part, or list its refunds."`
	Mail        mailCommand        `cmd:"" help:"Show what the mails about an order say."`
	Payments    paymentsCommand    `cmd:"" help:"List payments, newest first."`
	Payouts     payoutsCommand     `cmd:"" help:"List what Stripe has paid out, newest first."`
	Payout      payoutCommand      `cmd:"" help:"Show what a payout consists of."`
	Item        itemCommand        `cmd:"" help:"Show an item, change it, or list a new one."`
	Stock       stockCommand       `cmd:"" help:"Show the stock ledger of a SKU, or the stock of all items."`
	Adjust      adjustCommand      `cmd:"" help:"Correct the stock of a SKU."`
	Timeline    timelineCommand    `cmd:"" help:"Show everything that happened to one order."`
	At          atCommand          `cmd:"" help:"Show the state of an order, a payment, a SKU … or of the whole shop at a moment."`
	Diff        diffCommand        `cmd:"" help:"Show what changed in an order, a payment, a SKU … between two moments."`
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
	Staff       staffCommand       `cmd:"" help:"List, add, change and remove members of staff."`
	Keys        keysCommand        `cmd:"" help:"List, make and revoke API keys."`
	Audit       auditCommand       `cmd:"" help:"List what staff and API keys did, and why."`
	Verify      verifyCommand      `cmd:"" help:"Check every promise of the shop."`
	Completion  completionCommand  `cmd:"" help:"Write the script that completes commands in bash, zsh or fish."`
}

// protectMoments writes moments such as -2h in the form now-2h, because a parameter that begins with a hyphen is taken for a flag.
func protectMoments(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if slices.Contains([]string{"at", "diff", "verify"}, args[0]) && beforeNow.MatchString(arg) {
			args[i] = "now" + arg
		}
	}
	return args
}

var beforeNow = regexp.MustCompile(`^-\d+(\.\d+)?(ms|d|h|m|s)`)

// commandOf returns the command whose line is wrong, as far as it could be read.
func commandOf(err error) string {
	names := []string{"ops"}
	var wrong *kong.ParseError
	if errors.As(err, &wrong) {
		for _, step := range wrong.Context.Path {
			if step.Command != nil && !strings.EqualFold(step.Command.Name, "status") { // ops alone is status
				names = append(names, step.Command.Name)
			}
		}
	}
	return strings.Join(names, " ")
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, out *terminal) int {
	helped, line := false, commands{}
	parser, err := kong.New(&line, kong.Name("ops"), kong.Description(description), kong.Vars(target.Vars()),
		kong.Writers(out.out, out.err), kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: columns}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(out))
	if err != nil {
		return out.fail(err)
	}
	if completes(parser) {
		return exitOK
	}
	command, err := parser.Parse(protectMoments(args))
	if helped {
		return exitOK
	}
	if err != nil {
		return out.fail(fmt.Errorf("%w; see %s --help", err, commandOf(err)))
	}
	out.wide = line.Wide
	err = command.Run(parser)
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
