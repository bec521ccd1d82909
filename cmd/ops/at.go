package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/entities"
	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// atCommand is ops at.
type atCommand struct {
	target.Target `embed:""`
	Entity        string `arg:"" optional:"" help:"Id or number of an order, a SKU (its stock), KIND:ID with one of order, payment, stock, item, reservation, notification, lane, void, or a subject such as orders.ID."`
	Moment        string `arg:"" optional:"" help:"A sequence, an RFC 3339 time, a date, \"2026-11-30 12:00\", now, or a time before now such as -2h."`
	All           string `help:"Write the state of the whole shop at this moment." placeholder:"MOMENT"`
	Out           string `help:"With --all: the directory to write; it must not exist." placeholder:"DIR" type:"path" predictor:"dir"`
	JSON          bool   `name:"json" help:"Write the state, or the manifest, as JSON."`
}

// Help is shown by ops at --help.
func (atCommand) Help() string {
	return `The state is folded from the events up to the moment, by the rules of the domain. A sequence is exact; a time means the last event that was stored by then. An event that was declared void after the moment is not yet void.

With --all, one file of JSON lines is written for each kind of entity, one for the dead letters, and manifest.json last. The same sequence gives the same files. They contain customers' addresses, so only their owner can read them.

Examples:
  ops at 4XRJK-QYW5E -2h
  ops at payment:0b6c… 2026-11-30T12:00:00Z
  ops at MUG-1 5120
  ops at --all 5120 --out shop-at-5120

Exit codes: 0 done; 1 the entity, or an entity of --all, could not be read at that moment; 2 it could not be done.`
}

// Validate is called by kong when the command line is read.
func (c *atCommand) Validate() error {
	switch {
	case c.All != "" && (c.Entity != "" || c.Out == ""):
		return errors.New("--all MOMENT needs --out DIR, and no entity")
	case c.All == "" && c.Out != "":
		return errors.New("--out is for --all MOMENT")
	case c.All == "" && c.Moment == "":
		return errors.New("name an entity and a moment, such as ops at 4XRJK-QYW5E -2h; or --all MOMENT --out DIR")
	}
	return nil
}

// Run shows one state, or writes all.
func (c *atCommand) Run(ctx context.Context, out *terminal) error {
	shop, reader, stop, err := openShop(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	if c.All != "" {
		return c.export(ctx, reader, out)
	}
	at, err := reader.FindMoment(ctx, c.Moment, time.Now())
	if err != nil {
		return err
	}
	entity, err := findEntity(ctx, shop, reader, c.Entity, out)
	if err != nil {
		return err
	}
	state, err := reader.StateAt(ctx, entity.Kind, entity.ID, at)
	if err != nil {
		return err
	}
	return out.answer(c.JSON, state, func() error { return writeState(state, out) }, state.Error != "")
}

// findEntity finds an entity by its id, or an order by its number.
func findEntity(ctx context.Context, shop target.Shop, reader *replay.Reader, name string, out *terminal) (entities.Entity, error) {
	entity, err := entities.Find(ctx, reader, name)
	if !errors.Is(err, replay.ErrNotFound) {
		return entity, err
	}
	id, notNumber := findOrder(ctx, shop, reader, strings.TrimPrefix(name, "order:"), out)
	if notNumber != nil {
		return entities.Entity{}, err
	}
	return entities.Find(ctx, reader, "order:"+id)
}

func writeState(s replay.EntityState, out *terminal) error {
	if err := writeStateTitle(s, out); err != nil {
		return err
	}
	if s.Value != nil {
		fields, err := replay.Fields(s.Value)
		if err != nil {
			return err
		}
		if err := writeFields(fields, out); err != nil {
			return err
		}
	}
	if s.Error != "" {
		return out.item(cell{"not readable", red}, s.Error+"; requests about it failed. See ops void --help and ops repair --help")
	}
	return nil
}

func writeFields(fields []replay.Field, out *terminal) error {
	t := newTable("FIELD", "VALUE")
	for _, f := range fields {
		t.add(cell{f.Name, bold}, valueText(f.Value))
	}
	return t.write(out)
}

// writeStateTitle writes which entity it is, and how new its state was at the moment.
func writeStateTitle(s replay.EntityState, out *terminal) error {
	if err := out.item(cell{s.Kind + " " + s.ID, bold}, "at "+momentText(s.At)); err != nil {
		return err
	}
	if !s.Exists() && s.Error == "" {
		return out.printf("it did not exist yet")
	}
	if !s.Exists() {
		return nil
	}
	return out.printf("event %d of it, at sequence %d, %s\n", s.Revision, s.Sequence, s.Changed.Local().Format(millis))
}

func momentText(m replay.Moment) string {
	return fmt.Sprintf("sequence %d, %s", m.Sequence, m.Time.Local().Format(millis))
}

// valueText is the value of a field. Times are shown in the time zone of the operator.
func valueText(value any) string {
	if value == nil {
		return "(none)"
	}
	text := fmt.Sprint(value)
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at.Local().Format(millis)
	}
	return text
}

func (c *atCommand) export(ctx context.Context, reader *replay.Reader, out *terminal) error {
	at, err := reader.FindMoment(ctx, c.All, time.Now())
	if err != nil {
		return err
	}
	manifest, err := replay.Export{At: at, Dir: c.Out, Kinds: entities.Kinds(), Log: reader, Progress: out.bar}.Run(ctx)
	out.clear()
	if err != nil {
		return err
	}
	unreadable := 0
	for _, f := range manifest.Files {
		unreadable += f.Unreadable
	}
	return out.answer(c.JSON, manifest, func() error { return c.writeManifest(manifest, out) }, unreadable > 0)
}

func (c *atCommand) writeManifest(manifest replay.Manifest, out *terminal) error {
	t := newTable("FILE", "ENTITIES>", "UNREADABLE>", "BYTES>")
	for _, name := range sortedFiles(manifest) {
		f := manifest.Files[name]
		unreadable := cell{text: output.Number(f.Unreadable)}
		if f.Unreadable > 0 {
			unreadable.style = red
		}
		t.add(cell{name, bold}, output.Number(f.Entities), unreadable, output.Number(f.Bytes))
	}
	at := momentText(replay.Moment{Sequence: manifest.Sequence, Time: manifest.Time})
	return errors.Join(t.write(out), out.item(cell{"written to", green}, relative(c.Out)+": the shop at "+at))
}

func sortedFiles(manifest replay.Manifest) (names []string) {
	for name := range manifest.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// relative is a path from the working directory, where it is below it.
func relative(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	short, err := filepath.Rel(dir, path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path
	}
	return short
}
