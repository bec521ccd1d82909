package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/incident"
	"tillstream/cmd/internal/proof/loadgen"
)

// Purchases begun per second during an incident, unless --rate is set. With the first, 500 orders are placed within a minute.
const (
	releaseRate = 10
	mailRate    = 2
)

// repairTime is how long the shop of an incident sells before, between and after the faults, at most.
const repairTime = 10 * time.Minute

func (c *command) playsIncident() bool { return c.Incident || c.MailIncident }

func (c *command) checkIncident() error {
	switch {
	case !c.playsIncident():
		return nil
	case c.Soak > 0 || c.CSV != "" || c.Attack:
		return errors.New("--incident and --mail-incident: the incident determines the number of purchases; omit --soak, --csv and --attack")
	case c.namesShop():
		return errors.New("--incident and --mail-incident start a shop: omit --shop and all addresses (--nats or NATS_URL, --storefront, --ops)")
	case c.DeadLetters < 1:
		return fmt.Errorf("--dead-letters %d: want at least 1", c.DeadLetters)
	case c.RefuseFor <= 0:
		return fmt.Errorf("--refuse-for %s: want a positive duration", c.RefuseFor)
	case c.Rate == 0 && c.Incident:
		c.Rate = releaseRate
	case c.Rate == 0:
		c.Rate = mailRate
	}
	if c.Incident { // every shopper whose order is stuck waits until the end of the incident
		c.Concurrency = max(c.Concurrency, 2*c.DeadLetters+int(60*c.Rate))
	}
	return nil
}

// packages returns the main packages of the programs that a local shop needs.
func (c *command) packages() []string {
	packages := fleet.Packages()
	if c.playsIncident() {
		packages = append(packages, "tillstream/cmd/ops")
	}
	return packages
}

// buildBroken builds the bad release of --incident.
func (c *command) buildBroken(ctx context.Context, dir string, out io.Writer) (broken string, err error) {
	if !c.Incident {
		return "", nil
	}
	broken = filepath.Join(dir, "broken")
	if err := os.MkdirAll(broken, 0o755); err != nil {
		return "", fmt.Errorf("create directory of the bad release: %w", err)
	}
	fmt.Fprintln(out, "building the bad release from edited source")
	return broken, incident.BuildBroken(ctx, broken)
}

// incident buys until the incidents are over, and checks the shop afterwards. Shoppers whose orders are stuck wait.
func (s *session) incident(ctx context.Context, c *command, run *loadgen.Run, tally *loadgen.Tally, buyer *loadgen.Buyer) error {
	story, err := incident.Open(ctx, incident.Config{Shop: s.local.shop, Dir: s.local.dir, Programs: s.local.programs, Out: clearing{s.out, s.local},
		Waiting: run.InFlight, Sales: func() (confirmed, failed int) {
			_, confirmed, failed = tally.Counts()
			return confirmed, failed
		}})
	if err != nil {
		return err
	}
	defer story.Close()
	buyer.Timeout = time.Duration(float64(c.DeadLetters)/c.Rate)*time.Second + c.RefuseFor + repairTime
	selling, closeShop := context.WithCancel(ctx)
	buying, giveUp := context.WithCancel(ctx)
	defer giveUp()
	played := make(chan error, 1)
	go func() {
		err := s.play(ctx, c, story)
		if err != nil {
			giveUp()
		}
		closeShop()
		played <- err
	}()
	run.Do(buying, selling.Done())
	if err = <-played; err == nil {
		err = story.Conclude(ctx, c.Incident)
	}
	if errors.Is(err, incident.ErrUnexpected) {
		err = fmt.Errorf("%w: %w", errFailed, err)
	}
	return err
}

// play plays the incidents that the flags name, one after another.
func (s *session) play(ctx context.Context, c *command, story *incident.Incident) error {
	if err := story.SellsBefore(ctx); err != nil {
		return err
	}
	if c.Incident {
		if err := story.BadRelease(ctx, s.local.broken, c.DeadLetters); err != nil {
			return err
		}
	}
	if c.MailIncident {
		return story.MailRefused(ctx, c.RefuseFor)
	}
	return nil
}

// clearing removes the progress line before it writes.
type clearing struct {
	to    io.Writer
	local *localShop
}

// Write implements [io.Writer].
func (c clearing) Write(p []byte) (int, error) {
	if c.local.clearProgress != nil {
		c.local.clearProgress()
	}
	return c.to.Write(p)
}

// checkOps expects the program ops in a directory of programs.
func (c *command) checkOps(programs string) error {
	if !c.playsIncident() {
		return nil
	}
	if _, err := os.Stat(filepath.Join(programs, "ops")); err != nil {
		return fmt.Errorf("%w: %w", fleet.ErrNoProgram, err)
	}
	return nil
}
