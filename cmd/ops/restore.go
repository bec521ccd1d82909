package main

import (
	"cmp"
	"context"
	"errors"

	"tillstream/cmd/internal/target"
	"tillstream/events/backup"
	"tillstream/events/replay"
)

// restore is ops restore.
type restore struct {
	target.Target `embed:""`
	Dir           string `arg:"" help:"Directory of the backup." type:"existingdir"`
	Data          string `help:"Data directory of a shop in one process, for its secrets (default: as the ready file says)." placeholder:"DIR" type:"existingdir"`
	Replicas      int    `env:"STREAM_REPLICAS" default:"1" help:"Copies of each stream, where ops has to make them; 3 in production."`
	JSON          bool   `name:"json" help:"Write JSON."`
}

// Help is shown by ops restore --help.
func (restore) Help() string {
	return `Puts a backup into an empty installation: a broker and a database that hold nothing, and no process at work. For a shop in one process that is a new data directory: start the shop there with --closed, run this, stop it, and start it without --closed. For a shop in many processes it is a broker with empty stores and an empty database; the streams are made where they are missing.

The whole backup is read and compared with its manifest before anything is written. Every event comes back under its old sequence with its old id. Secrets go into the data directory, where they are. A restore that was cut off is run again and goes on where it was; until it has ended no process of the shop starts.

Afterwards nothing is charged or mailed again of which the backup knows that it was. What happened after the backup was taken the shop does not know: deploy/runbook.md, "Backups", says what to do about payments and mails of that time.`
}

// Run restores a backup.
func (c *restore) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	shop.Data = cmp.Or(c.Data, shop.Data)
	kept, err := backup.Open(ctx, c.Dir, func(done, total uint64) { out.bar("check backup", done, total) })
	out.clear()
	if err != nil {
		return err
	}
	reader, closeLog, err := shop.MakeLog(ctx, c.Replicas)
	if err != nil {
		return err
	}
	defer closeLog()
	db, closeDB, err := shop.Database(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	r := replay.Restore{Backup: kept, DB: db, Log: reader, Progress: out.bar}
	if shop.Data != "" {
		r.Secrets = shop.KeepSecrets
	}
	report, err := r.Run(ctx)
	out.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		return out.json(report)
	}
	return c.write(report, shop, out)
}

func (c *restore) write(report replay.RestoreReport, shop target.Shop, out *terminal) error {
	t := newTable("EVENTS>", "DEAD LETTERS>", "LANES>", "SET ASIDE>", "SECRETS", "")
	t.add(count(report.Cut), count(report.DeadLetters), count(report.Lanes), count(report.Aside), secretsAre(report.Secrets), cell{restoredHow(report), green})
	err := errors.Join(t.write(out), out.say("next: start the shop. It writes lists and archive from the log again; ops lag says how far it is. Then ops rebuild projections --dry-run, and ops verify"))
	switch {
	case report.Secrets:
	case shop.Data == "":
		out.note("start the workers with the TOKEN_SECRET, OPS_TOKEN and keys that they had")
	default:
		out.note("the backup has no secrets: links to orders in mails that were sent will not open")
	}
	return err
}

func restoredHow(report replay.RestoreReport) string {
	if report.Continued {
		return "restored; an earlier try had been cut off"
	}
	return "restored"
}
