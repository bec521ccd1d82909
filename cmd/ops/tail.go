package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tillstream/cmd/internal/attach"
	"tillstream/events"
	"tillstream/events/replay"
)

// tail is ops tail.
type tail struct {
	attach.Target `embed:""`
	Stream        []string      `help:"Only these streams: orders, inventory, payments, notifications, timers, parked." placeholder:"STREAM"`
	Type          string        `help:"Only events of this type; * stands for anything, as in 'orders.*'." placeholder:"TYPE"`
	Order         string        `help:"Only events about this order (its id)." placeholder:"ID"`
	Since         time.Duration `help:"Begin this long ago, such as 10m; without, with what comes now." placeholder:"DURATION"`
	Count         int           `help:"End after so many events." placeholder:"N"`
	JSON          bool          `name:"json" help:"Write one JSON object per line."`
}

// Help is shown by ops tail --help.
func (tail) Help() string { return "Runs until Ctrl-C, or until --count events were shown." }

// errEnough ends a tail that has shown what was asked for.
var errEnough = errors.New("enough")

// Validate is called by kong when the command line is read.
func (c *tail) Validate() error {
	if c.Count < 0 || c.Since < 0 {
		return fmt.Errorf("--count %d --since %s: want nothing less than 0", c.Count, c.Since)
	}
	if _, err := path.Match(c.Type, ""); err != nil {
		return fmt.Errorf("--type %s: %w", c.Type, err)
	}
	for i, name := range c.Stream {
		c.Stream[i] = strings.ToUpper(name)
		if !slices.Contains(replay.Streams, c.Stream[i]) {
			return fmt.Errorf("--stream %s: there are %s", name, strings.ToLower(strings.Join(replay.Streams, ", ")))
		}
	}
	return nil
}

// Run shows events until the terminal is tired of it.
func (c *tail) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	reader, stop, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	streams := c.Stream
	if len(streams) == 0 {
		streams = replay.Streams
	}
	printer := &tailPrinter{tail: c, out: out}
	group, following := errgroup.WithContext(ctx)
	for _, stream := range streams {
		part, err := c.part(ctx, reader, stream)
		if err != nil {
			return err
		}
		group.Go(func() error { return reader.Follow(following, part, nil, printer.show) })
	}
	out.note("following %s; Ctrl-C ends", strings.ToLower(strings.Join(streams, ", ")))
	if err := group.Wait(); err != nil && !errors.Is(err, errEnough) && ctx.Err() == nil {
		return err
	}
	return nil
}

// part says where to begin. "Now" is the sequence after the last, so that nothing is missed while the others start.
func (c *tail) part(ctx context.Context, reader *replay.Reader, stream string) (replay.Range, error) {
	if c.Since > 0 {
		return replay.Range{Stream: stream, Since: time.Now().Add(-c.Since)}, nil
	}
	last, err := reader.Last(ctx, stream)
	return replay.Range{Stream: stream, From: last + 1}, err
}

// tailPrinter shows the events of several streams, one at a time.
type tailPrinter struct {
	*tail
	out   *terminal
	mu    sync.Mutex
	shown int
}

func (p *tailPrinter) show(m replay.Message) error {
	e, err := m.Event()
	if !p.wanted(m, e) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Count > 0 && p.shown == p.Count {
		return errEnough
	}
	p.shown++
	if err := p.print(m, e, err); err != nil {
		return err
	}
	if p.shown == p.Count {
		return errEnough
	}
	return nil
}

func (p *tailPrinter) wanted(m replay.Message, e events.Event) bool {
	if p.Type != "" {
		if matched, err := path.Match(p.Type, e.Type); err != nil || !matched {
			return false
		}
	}
	return p.Order == "" || e.CorrelationID == p.Order || strings.HasSuffix(m.Subject, "."+p.Order)
}

// tailed is an event as ops tail --json writes it.
type tailed struct {
	Stored   time.Time      `json:"stored"`
	Stream   string         `json:"stream"`
	Sequence uint64         `json:"sequence"`
	Subject  string         `json:"subject"`
	ID       string         `json:"id,omitempty"`
	Type     string         `json:"type,omitempty"`
	Source   string         `json:"source,omitempty"`
	OrderID  string         `json:"order_id,omitempty"`
	Cause    string         `json:"causation_id,omitempty"`
	Payload  events.Payload `json:"payload,omitempty"`
	Error    string         `json:"error,omitempty"`
}

func (p *tailPrinter) print(m replay.Message, e events.Event, unreadable error) error {
	summary := ""
	if unreadable != nil {
		summary = unreadable.Error()
	}
	if p.JSON {
		line, err := json.Marshal(tailed{Stored: m.Stored.UTC(), Stream: m.Stream, Sequence: m.Sequence, Subject: m.Subject, ID: e.ID, Type: e.Type,
			Source: e.Source, OrderID: e.CorrelationID, Cause: e.CausationID, Payload: e.Payload, Error: summary})
		if err != nil {
			return err
		}
		return p.out.printf("%s", line)
	}
	if unreadable == nil {
		summary = replay.Summary(e.Payload)
	}
	return p.out.printf("%s  %s  %s  %s", p.out.paint(dim, m.Stored.Local().Format("15:04:05.000")),
		p.out.paint(dim, fmt.Sprintf("%-22s", fmt.Sprintf("%s/%d", m.Stream, m.Sequence))),
		p.out.paint(streamStyle(m.Stream, e.Type), fmt.Sprintf("%-32s", oneLine(e.Type))), oneLine(m.Subject+"  "+summary))
}
