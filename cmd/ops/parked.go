package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"tillstream/cmd/internal/attach"
	"tillstream/events/replay"
)

// parked is ops parked.
type parked struct {
	List parkedList `cmd:"" default:"withargs" help:"List what is parked, counted by cause."`
	Show parkedShow `cmd:"" help:"Show one parked message, whole."`
}

// parkedList is ops parked list.
type parkedList struct {
	attach.Target `embed:""`
	Limit         int  `help:"List at most so many, newest first." default:"20"`
	JSON          bool `name:"json" help:"Write JSON."`
}

// Run counts what is parked by cause and lists the newest.
func (c *parkedList) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	reader, stop, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	all, err := reader.AllParked(ctx)
	if err != nil {
		return err
	}
	causes := replay.Causes(all)
	slices.Reverse(all)
	listed := all[:min(len(all), max(c.Limit, 0))]
	if c.JSON {
		return out.json(map[string]any{"total": len(all), "causes": causes, "parked": append([]replay.Parked{}, listed...)})
	}
	if len(all) == 0 {
		return out.printf("nothing is parked")
	}
	return writeParked(all, listed, causes, out)
}

func writeParked(all, listed []replay.Parked, causes []replay.Cause, out *terminal) error {
	counted := newTable("COUNT>", "CAUSE", "WORKER", "LAST", "ERROR")
	for _, c := range causes {
		counted.add(count(uint64(c.Count)), c.Fingerprint, cell{c.Worker, bold}, c.Last.Local().Format("2006-01-02 15:04:05"), cell{c.Error, red})
	}
	rows := newTable("SEQ>", "PARKED", "WORKER", "MESSAGE", "TYPE", "SUBJECT", "CAUSE")
	for _, p := range listed {
		rows.add(fmt.Sprint(p.Sequence), p.Stored.Local().Format("2006-01-02 15:04:05"), cell{p.Worker, bold}, p.Origin(), p.Type(), p.Subject, cell{p.Fingerprint, dim})
	}
	if err := errors.Join(counted.write(out), out.printf(""), rows.write(out)); err != nil {
		return err
	}
	if rest := len(all) - len(listed); rest > 0 {
		out.note("and %d older ones; --limit shows more", rest)
	}
	out.note("ops parked show SEQ shows one whole")
	return nil
}

// parkedShow is ops parked show.
type parkedShow struct {
	attach.Target `embed:""`
	Seq           uint64 `arg:"" help:"Its sequence in PARKED, as ops parked lists it."`
	JSON          bool   `name:"json" help:"Write JSON."`
}

// Run shows one parked message.
func (c *parkedShow) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	reader, stop, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	p, err := reader.ParkedAt(ctx, c.Seq)
	if errors.Is(err, replay.ErrNotFound) {
		return fmt.Errorf("nothing is parked at %d; ops parked lists what is", c.Seq)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return out.json(p)
	}
	return writeOneParked(p, out)
}

func writeOneParked(p replay.Parked, out *terminal) error {
	fields := [][2]string{{"worker", p.Worker}, {"message", p.Origin()}, {"subject", p.Subject}, {"parked", p.Stored.Local().Format("2006-01-02 15:04:05.000 MST")},
		{"attempt", fmt.Sprint(p.Attempt)}, {"cause", p.Fingerprint}, {"error", p.Error}}
	for _, f := range fields {
		if err := out.printf("%s  %s", out.paint(bold, fmt.Sprintf("%-8s", f[0])), oneLine(f[1])); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
		if err := out.printf("%s  %s: %s", out.paint(dim, "header  "), oneLine(name), oneLine(strings.Join(p.Headers[name], ", "))); err != nil {
			return err
		}
	}
	body := string(p.Data)
	if !utf8.Valid(p.Data) {
		body = fmt.Sprintf("%q", p.Data)
	}
	if p.Truncated {
		body += " … cut here; the whole stands in the stream"
	}
	return out.printf("%s\n%s", out.paint(bold, "body"), oneLine(body))
}
