package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/target"
)

// verify is ops verify.
type verify struct {
	target.Target `embed:""`
	Acknowledged  string        `help:"File with one order id per line that was answered 201: each must exist." placeholder:"FILE" type:"existingfile"`
	ExpectDead    []string      `name:"expect-dead-letter" help:"What may, and must, be a dead letter: LANE:SEQUENCE. May be given several times." placeholder:"EVENT"`
	Settle        time.Duration `help:"How long after its last event an order may still be on its way." default:"60s"`
	Wait          time.Duration `help:"How long orders that have just moved are looked at again before they count as on their way." default:"5s"`
	Limit         int           `help:"Print at most so many findings per promise." default:"20"`
	JSON          bool          `name:"json" help:"Write JSON: {ok, findings: [{invariant, subject, detail}], checks, open_items, counts}."`
}

// Help is shown by ops verify --help.
func (verify) Help() string {
	return `Reads the whole log, Stripe's list of payments, the mailbox and the archive, as far as their addresses are known, and checks the promises I1–I6 and I8 by rules of its own. It can be run at any time while the shop sells.

Exit codes: 0 every promise is kept; 1 one is broken, and named; 2 it could not look.`
}

// Run checks the shop's promises.
func (c *verify) Run(ctx context.Context, out *terminal) error {
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
	options.Progress = func(p invariants.Progress) { out.bar("verify: "+p.Stage, p.Done, p.Total) }
	report, err := invariants.Check(ctx, options)
	out.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		err = out.json(report)
	} else {
		err = c.write(report, out)
	}
	if err == nil && !report.OK {
		return errOff
	}
	return err
}

// Validate is called by kong when the command line is read.
func (c *verify) Validate() error {
	if c.Settle < 0 || c.Wait < 0 {
		return fmt.Errorf("--settle %s --wait %s: want nothing less than 0s", c.Settle, c.Wait)
	}
	return nil
}

func (c *verify) fill(options *invariants.Options) (err error) {
	// Who says 0s excuses nothing for being young; of the options it would be the default, a minute.
	options.Projections = allProjections()
	options.Settle, options.Patience = max(c.Settle, time.Nanosecond), max(c.Wait, time.Nanosecond)
	for _, text := range c.ExpectDead {
		d, err := invariants.ParseDeadLetter(text)
		if err != nil {
			return fmt.Errorf("--expect-dead-letter: %w", err)
		}
		options.ExpectedDead = append(options.ExpectedDead, d)
	}
	if c.Acknowledged != "" {
		options.Acknowledged, err = readLines(c.Acknowledged)
	}
	return err
}

// readLines reads a file of ids. A last line without an end was cut off by whatever ended its writer, and is no id.
func readLines(path string) (lines []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	whole := string(data[:strings.LastIndexByte(string(data), '\n')+1])
	scanner := bufio.NewScanner(strings.NewReader(whole))
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, scanner.Err()
}

func (c *verify) write(report invariants.Report, out *terminal) error {
	t := newTable("", "PROMISE", "", "LOOKED AT")
	for _, check := range report.Checks {
		result := cell{"ok", green}
		if check.Findings > 0 {
			result = cell{fmt.Sprintf("%d findings", check.Findings), red}
		}
		scope := check.Scope
		if check.Skipped != "" {
			if scope == "" {
				result = cell{"skipped", yellow}
			}
			scope = strings.TrimPrefix(scope+"; not looked at: "+check.Skipped, "; ")
		}
		t.add(cell{check.Invariant, bold}, check.Title, result, cell{scope, dim})
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
	verdict := cell{"every promise is kept:", green}
	if !report.OK {
		verdict = cell{fmt.Sprintf("%d findings:", len(report.Findings)), red}
	}
	return out.item(verdict, fmt.Sprintf("%s events, %s orders (%s on their way), in %.1f s", count(report.Counts.Events), count(uint64(report.Counts.Orders)),
		count(uint64(report.Counts.Progressing)), report.Counts.Seconds))
}

func (c *verify) writeFindings(report invariants.Report, out *terminal) error {
	printed := map[string]int{}
	for _, f := range report.Findings {
		if printed[f.Invariant]++; printed[f.Invariant] > c.Limit {
			continue
		}
		if err := out.item(cell{f.Invariant, red}, f.Subject+": "+f.Detail); err != nil {
			return err
		}
	}
	for invariant, n := range printed {
		if n > c.Limit {
			out.note("%s: and %d more; --limit shows more, --json all", invariant, n-c.Limit)
		}
	}
	return nil
}
