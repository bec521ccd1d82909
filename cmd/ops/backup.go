package main

import (
	"cmp"
	"context"
	"errors"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/replay"
)

// backupCommand is ops backup.
type backupCommand struct {
	target.Target `embed:""`
	recorded      `embed:""`
	Dir           string `arg:"" help:"Directory to write to; it must be new or empty." type:"path" predictor:"dir"`
	Data          string `help:"Data directory of a shop in one process, for its secrets. Default: the one that the ready file names." placeholder:"DIR" type:"path"`
	JSON          bool   `name:"json" help:"Write the report as JSON."`
}

// Help is shown by ops backup --help.
func (backupCommand) Help() string {
	return `The backup is a snapshot of the shop at the time the backup began: every event with its sequence; the dead letters; the positions of the lanes; and the events that repairs have set aside. Events that the log lacks are taken from the archive. The secrets of a shop in one process are included. The secrets of a shop in many processes are in its environment: keep a copy of them.

Lists, searches and the archive are not included; they are rebuilt from the log. Neither is the data of Stripe and the mail server, nor of the embedded sandbox and mailbox that replace them (DATA/stripe, DATA/mail).

A directory with a manifest.json is a complete backup; one without it was interrupted and may be deleted. The files contain customers' addresses, so only their owner can read them: keep it that way when you copy them. ops restore restores a backup.

Examples:
  ops backup /backups/2026-11-30
  ops backup /backups/2026-11-30 --data ./data`
}

// Run writes a backup.
func (c *backupCommand) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	shop.Data = cmp.Or(c.Data, shop.Data)
	reader, db, stop, err := openBoth(ctx, shop, shop.Log)
	if err != nil {
		return err
	}
	defer stop()
	secrets, err := shop.Secrets()
	if err != nil {
		return err
	}
	author, err := c.author(ctx, shop, reader)
	if err != nil {
		return err
	}
	report, err := replay.Backup{DB: db, Dir: c.Dir, Log: reader, Progress: out.bar, Secrets: secrets}.Run(ctx)
	out.clear()
	record(ctx, reader, author, out, events.ActionRecorded{Action: "backup", Arguments: []string{c.Dir},
		Outcome: output.Number(report.Cut) + " events and " + output.Number(report.DeadLetters) + " dead letters written"}, err)
	if err != nil {
		return err
	}
	return out.answer(c.JSON, report, func() error { return writeBackup(report, out) }, false)
}

func writeBackup(report replay.BackupReport, out *terminal) error {
	t := newTable("EVENTS>", "FROM ARCHIVE>", "DEAD LETTERS>", "LANES>", "SET ASIDE>", "BYTES>", "SECRETS")
	t.add(output.Number(report.Cut), output.Number(report.FromArchive), output.Number(report.DeadLetters), output.Number(report.Lanes),
		output.Number(report.Aside), output.Number(report.Bytes), yesNo(report.Secrets))
	err := errors.Join(t.write(out), out.item(cell{"backed up to", green}, report.Dir))
	if report.FromArchive > 0 {
		out.note("the log is damaged; see ops repair --help")
	}
	if !report.Secrets {
		out.note("the backup has no secrets: keep TOKEN_SECRET and the other keys of the environment with it")
	}
	return err
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
