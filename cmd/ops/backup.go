package main

import (
	"cmp"
	"context"
	"errors"

	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// backUp is ops backup.
type backUp struct {
	target.Target `embed:""`
	Dir           string `arg:"" help:"Directory to write it to: a new one, or an empty one." type:"path"`
	Data          string `help:"Data directory of a shop in one process, for its secrets (default: as the ready file says)." placeholder:"DIR" type:"path"`
	JSON          bool   `name:"json" help:"Write JSON."`
}

// Help is shown by ops backup --help.
func (backUp) Help() string {
	return `Writes everything that the shop is made of, up to the event that was the last one when the backup began, while the shop sells: every event of the log with its sequence, the dead letters, how far the lanes had come, and what repairs have set aside. What the log lacks is taken from the archive. Of a shop in one process the secrets are in it too; the secrets of a shop in many processes come from their environment and are kept by who sets it.

Lists, searches and the archive are not in it: they are made from the log again. Neither is what Stripe and the mail server know, nor the embedded sandbox and mailbox that stand in for them (DATA/stripe, DATA/mail).

A directory with a manifest.json is a whole backup; one without was cut off. The files are readable by their owner alone, because they hold customers' addresses: whoever copies them keeps that up. ops restore puts a backup back.`
}

// Run writes a backup.
func (c *backUp) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	shop.Data = cmp.Or(c.Data, shop.Data)
	secrets, err := shop.Secrets()
	if err != nil {
		return err
	}
	reader, closeLog, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer closeLog()
	db, closeDB, err := shop.Database(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	report, err := replay.Backup{DB: db, Dir: c.Dir, Log: reader, Progress: out.bar, Secrets: secrets}.Run(ctx)
	out.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		return out.json(report)
	}
	return writeBackedUp(report, out)
}

func writeBackedUp(report replay.BackupReport, out *terminal) error {
	t := newTable("EVENTS>", "FROM ARCHIVE>", "DEAD LETTERS>", "LANES>", "SET ASIDE>", "BYTES>", "SECRETS")
	t.add(count(report.Cut), count(report.FromArchive), count(report.DeadLetters), count(report.Lanes), count(report.Aside),
		count(uint64(report.Bytes)), secretsAre(report.Secrets))
	err := errors.Join(t.write(out), out.item(cell{"backed up to", green}, report.Dir))
	if report.FromArchive > 0 {
		out.note("the log is damaged; ops repair --help says what to do")
	}
	if !report.Secrets {
		out.note("secrets are not in it: keep TOKEN_SECRET, OPS_TOKEN and the keys of the environment with it")
	}
	return err
}

func secretsAre(there bool) string {
	if there {
		return "yes"
	}
	return "no"
}
