package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/projections"
	"tillstream/cmd/internal/target"
)

// verifyCommand is ops verify.
type verifyCommand struct {
	target.Target `embed:""`
	At            string        `help:"Check the shop as it was at this moment: a sequence, a time, a date, or a time before now such as -2h." placeholder:"MOMENT"`
	Acknowledged  string        `help:"File with the ids of orders that were answered 201, one per line. Each must be in the log." placeholder:"FILE" type:"existingfile"`
	Deep          bool          `help:"Compare log and archive event by event, including subjects, headers and bodies."`
	ExpectDead    []string      `name:"expect-dead-letter" help:"A dead letter that must exist and may be open, as LANE:SEQUENCE. May be repeated." placeholder:"EVENT"`
	Settle        time.Duration `help:"How long after its last event an order counts as on its way." default:"60s"`
	Wait          time.Duration `help:"How long to read orders on their way again until they are done." default:"5s"`
	Limit         int           `help:"Print at most this many findings of each promise." default:"20"`
	JSON          bool          `name:"json" help:"Write JSON: {ok, findings: [{invariant, subject, detail}], checks, open_items, counts}."`
}

// Help is shown by ops verify --help.
func (verifyCommand) Help() string {
	return `Reads the whole log and, if their addresses are known, Stripe's list of payments, the mailbox and the archive. It checks the promises I1–I6, I8 and I9 with rules that share no code with the shop. It can run at any time while the shop sells. It ends with exit code 2 when the broker delivers nothing for 30 s.

A sequence that the log or the archive lacks, and an entity (an order, a payment, a reservation) with a missing or unreadable event are findings. With --deep, log and archive are compared event by event: sequence, id, subject, headers and body. A process of the shop does the same every AUDIT_EVERY; ops lag shows when it last did. The result of --deep replaces that one, and so ends its alert.

With --at, the promises are checked on the log up to that moment, and on the dead letters of that time. What Stripe, the mail server and the database had at that moment is not known, so that is not checked, and the report says so. A sequence in the middle of what was appended together is moved to the end of that.

Examples:
  ops verify
  ops verify --deep
  ops verify --at 5120
  ops verify --at -2h --json

Exit codes: 0 every promise is kept; 1 a promise is broken, and the findings are named; 2 it could not be done.`
}

// Validate is called by kong when the command line is read.
func (c *verifyCommand) Validate() error {
	if c.Settle < 0 || c.Wait < 0 {
		return fmt.Errorf("--settle %s --wait %s: want 0s or more", c.Settle, c.Wait)
	}
	if c.At != "" && (c.Deep || c.Acknowledged != "") {
		return errors.New("--at checks the log up to a moment; --deep and --acknowledged are about now")
	}
	return nil
}

// Run checks the shop's promises.
func (c *verifyCommand) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	options, stop, err := invariants.Attach(ctx, shop)
	if err != nil {
		return err
	}
	defer stop()
	if err := c.fill(&options); err != nil {
		return err
	}
	if c.At != "" {
		if options.At, err = options.Log.FindMoment(ctx, c.At, time.Now()); err != nil {
			return err
		}
	}
	options.Progress = func(p invariants.Progress) { out.bar("verify: "+p.Stage, p.Done, p.Total) }
	report, err := invariants.Check(ctx, options)
	out.clear()
	if err != nil {
		return err
	}
	return out.answer(c.JSON, report, func() error { return c.write(report, out) }, !report.OK)
}

func (c *verifyCommand) fill(options *invariants.Options) (err error) {
	options.Projections, options.Deep = projections.All(), c.Deep
	// A zero option means its default, so 0s becomes the shortest duration.
	options.Settle, options.Patience = max(c.Settle, time.Nanosecond), max(c.Wait, time.Nanosecond)
	for _, text := range c.ExpectDead {
		d, err := invariants.ParseDeadLetter(text)
		if err != nil {
			return fmt.Errorf("--expect-dead-letter: %w", err)
		}
		options.ExpectedDeadLetters = append(options.ExpectedDeadLetters, d)
	}
	if c.Acknowledged != "" {
		options.Acknowledged, err = readLines(c.Acknowledged)
	}
	return err
}

// readLines reads a file of ids. A last line without a line break was cut off when its writer was killed; it is ignored.
func readLines(path string) (lines []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	complete := string(data[:strings.LastIndexByte(string(data), '\n')+1])
	scanner := bufio.NewScanner(strings.NewReader(complete))
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, scanner.Err()
}

func (c *verifyCommand) write(report invariants.Report, out *terminal) error {
	t := newTable("", "RESULT", "PROMISE, AND WHAT WAS CHECKED")
	for _, check := range report.Checks {
		result := cell{"ok", green}
		if check.Findings > 0 {
			result = cell{output.Count(check.Findings, "finding"), red}
		}
		scope := check.Scope
		if check.Skipped != "" {
			if scope == "" && check.Findings == 0 {
				result = cell{"skipped", yellow}
			}
			scope = strings.TrimPrefix(scope+"; not checked: "+check.Skipped, "; ")
		}
		t.add(cell{check.Invariant, bold}, result, check.Title+": "+scope)
	}
	if err := t.write(out); err != nil {
		return err
	}
	if err := c.writeFindings(report, out); err != nil {
		return err
	}
	for _, item := range report.OpenItems {
		if err := out.item(cell{"open item", yellow}, item.Subject+": "+item.Detail); err != nil {
			return err
		}
	}
	return writeVerdict(report, out)
}

// writeFindings writes the findings of each promise, and the command that helps.
func (c *verifyCommand) writeFindings(report invariants.Report, out *terminal) error {
	printed := map[string]int{}
	for _, f := range report.Findings {
		if printed[f.Invariant]++; printed[f.Invariant] > c.Limit {
			continue
		}
		if err := out.item(cell{f.Invariant, red}, f.Subject+": "+f.Detail); err != nil {
			return err
		}
	}
	for _, check := range report.Checks {
		if n := check.Findings - c.Limit; n > 0 {
			out.note("%s: %s more; --limit shows more, --json all", check.Invariant, output.Count(n, "finding"))
		}
		if check.Hint != "" {
			out.note("%s: %s", check.Invariant, check.Hint)
		}
	}
	return nil
}

func writeVerdict(report invariants.Report, out *terminal) error {
	verdict := cell{"every promise is kept:", green}
	if !report.OK {
		verdict = cell{output.Count(len(report.Findings), "finding") + ":", red}
	}
	if report.At != nil {
		verdict.text = "at " + momentText(*report.At) + ", " + verdict.text
	}
	n := report.Counts
	return out.item(verdict, fmt.Sprintf("%s, %s (%s on the way), in %.1f s", output.Count(n.Events, "event"), output.Count(n.Orders, "order"),
		output.Number(n.Progressing), n.Seconds))
}
