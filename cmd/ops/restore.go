package main

import (
	"cmp"
	"context"
	"errors"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events/backup"
	"tillstream/events/replay"
)

// restoreCommand is ops restore.
type restoreCommand struct {
	target.Target `embed:""`
	Dir           string `arg:"" help:"Directory of the backup." type:"existingdir"`
	Data          string `help:"Data directory of a shop in one process, for its secrets. Default: the one that the ready file names." placeholder:"DIR" type:"existingdir"`
	Replicas      int    `env:"STREAM_REPLICAS" default:"1" help:"Replicas of each stream that ops has to create: 1, or 3 with three brokers."`
	JSON          bool   `name:"json" help:"Write the report as JSON."`
}

// Help is shown by ops restore --help.
func (restoreCommand) Help() string {
	return `The broker and the database must be empty, and no process may run. For a shop in one process, start it with --closed in a new data directory, run this command, stop the shop, and start it without --closed. For a shop in many processes, give the broker empty stores and use an empty database; missing streams are created.

The whole backup is read and compared with its manifest before anything is written. Every event is restored with its sequence and id. Secrets are written to the data directory, if there is one. If the restore is interrupted, run it again: it continues. No process of the shop starts before the restore has finished.

After a restore, nothing is charged or mailed again that the backup records as done. The shop does not know what happened after the backup: see "Backups" in deploy/runbook.md for the payments and mails of that time.`
}

// Run restores a backup.
func (c *restoreCommand) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	shop.Data = cmp.Or(c.Data, shop.Data)
	opened, err := backup.Open(ctx, c.Dir, func(done, total uint64) { out.bar("check backup", done, total) })
	out.clear()
	if err != nil {
		return err
	}
	reader, db, stop, err := openBoth(ctx, shop, func(ctx context.Context) (*replay.Reader, func(), error) { return shop.MakeLog(ctx, c.Replicas) })
	if err != nil {
		return err
	}
	defer stop()
	r := replay.Restore{Backup: opened, DB: db, Log: reader, Progress: out.bar}
	if shop.Data != "" {
		r.Secrets = shop.KeepSecrets
	}
	report, err := r.Run(ctx)
	out.clear()
	if err != nil {
		return err
	}
	return out.answer(c.JSON, report, func() error { return writeRestore(report, shop, out) }, false)
}

func writeRestore(report replay.RestoreReport, shop target.Shop, out *terminal) error {
	result := "restored"
	if report.Continued {
		result = "restored; continued an interrupted restore"
	}
	t := newTable("EVENTS>", "DEAD LETTERS>", "LANES>", "SET ASIDE>", "SECRETS", "")
	t.add(output.Number(report.Cut), output.Number(report.DeadLetters), output.Number(report.Lanes), output.Number(report.Aside),
		yesNo(report.Secrets), cell{result, green})
	err := errors.Join(t.write(out), out.say("next: start the shop. It rebuilds lists and archive from the log; ops lag shows the progress. Then run ops rebuild projections --dry-run, and ops verify"))
	switch {
	case report.Secrets:
	case shop.Data == "":
		out.note("start the workers with the TOKEN_SECRET and the other keys that they had before")
	default:
		out.note("the backup has no secrets: links to orders in mails that were sent before will not open")
	}
	return err
}
