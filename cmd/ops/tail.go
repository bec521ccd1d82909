package main

import (
	"cmp"
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

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/events/text"
)

// tailCommand is ops tail.
type tailCommand struct {
	target.Target `embed:""`
	Domain        []string `help:"Show only events of these domains: orders, customers, inventory, payments, notifications, ops, deadletters." placeholder:"DOMAIN" predictor:"domain"`
	Type          string   `help:"Show only events of this type; * matches any text, as in 'orders.*'." placeholder:"TYPE" predictor:"type"`
	Order         string   `help:"Show only events about the order with this id or number." placeholder:"ORDER"`
	Since         string   `help:"Begin with the events since a time, such as 2026-11-30 14:05, yesterday or 14:05; or of this long ago, such as 10m. Default: with the next event." placeholder:"TIME"`
	Count         *int     `help:"End after this many events. Default: follow until Ctrl-C." placeholder:"N"`
	JSON          bool     `name:"json" help:"Write one JSON object per line."`

	since time.Time
}

// Help is shown by ops tail --help.
func (tailCommand) Help() string {
	return `A line has the time at which the event was stored, its sequence, type and subject, and a summary. A long subject is shortened in its middle; --wide and --json have it in full. The command runs until Ctrl-C, or until --count events were shown.

Examples:
  ops tail --domain orders
  ops tail --type 'payments.*' --since 10m
  ops tail --order 4XRJK-QYW5E --since 24h --count 20
  ops tail --json --since 1h | jq .type`
}

// deadLetterDomain selects dead letters, which belong to no domain of the shop.
const deadLetterDomain = "deadletters"

// domains are the first tokens of all subjects.
var domains = []string{"orders", "customers", "inventory", "payments", "notifications", "ops", deadLetterDomain}

// errEnough ends a tail that has shown --count events.
var errEnough = errors.New("enough events shown")

// Validate is called by kong when the command line is read.
func (c *tailCommand) Validate() (err error) {
	if c.Count != nil && *c.Count < 1 {
		return fmt.Errorf("--count %d: want 1 or more; without --count, tail follows until Ctrl-C", *c.Count)
	}
	if c.since, err = parseWhen("--since", c.Since, time.Now()); err != nil {
		return err
	}
	if err := checkType(c.Type); err != nil {
		return err
	}
	for _, name := range c.Domain {
		if !slices.Contains(domains, name) {
			return fmt.Errorf("--domain %s: want one of %s", name, strings.Join(domains, ", "))
		}
	}
	return nil
}

// checkType refuses a pattern that no event type matches: a tail of it would show nothing for ever.
func checkType(pattern string) error {
	var all, near []string
	domain, _, _ := strings.Cut(pattern, ".")
	for _, d := range events.Definitions() {
		matched, err := path.Match(pattern, d.Type)
		switch {
		case err != nil:
			return fmt.Errorf("--type %s: %w", pattern, err)
		case matched || pattern == "":
			return nil
		case domainOf(d.Type) == domain:
			near = append(near, d.Type)
		}
		all = append(all, d.Type)
	}
	if len(near) > 0 {
		all = near
	}
	return fmt.Errorf("--type %s: no such type; want one of %s", pattern, strings.Join(all, ", "))
}

// Run shows events until the context ends or enough are shown.
func (c *tailCommand) Run(ctx context.Context, out *terminal) error {
	shop, reader, stop, err := openShop(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	if c.Order != "" {
		if c.Order, err = findOrder(ctx, shop, reader, c.Order, out); err != nil {
			return err
		}
	}
	part, letters, err := c.begin(ctx, reader)
	if err != nil {
		return err
	}
	printer := &tailPrinter{tailCommand: c, out: out}
	part.Gap = func(from, to uint64) {
		out.note("the log is damaged: sequences %d to %d are missing; see ops repair", from, to)
	}
	group, following := errgroup.WithContext(ctx)
	group.Go(func() error {
		return reader.Follow(following, part, nil, func(m replay.Message) error { return printer.show(events.StreamShop, m) })
	})
	if c.wants(deadLetterDomain) {
		group.Go(func() error {
			return reader.FollowDeadLetters(following, letters, func(m replay.Message) error { return printer.show(events.StreamDeadLetters, m) })
		})
	}
	out.note("following %s; Ctrl-C ends", cmp.Or(strings.Join(c.Domain, ", "), "all events"))
	if err := group.Wait(); err != nil && !errors.Is(err, errEnough) && ctx.Err() == nil {
		return err
	}
	return nil
}

func (c *tailCommand) wants(domain string) bool {
	return len(c.Domain) == 0 || slices.Contains(c.Domain, domain)
}

// begin returns the ranges of the log and of the dead letters to read. Without --since each begins after the present last
// message, so that no message is missed while the readers start.
func (c *tailCommand) begin(ctx context.Context, reader *replay.Reader) (part, letters replay.Range, err error) {
	if !c.since.IsZero() {
		part.Since = c.since
		return part, part, nil
	}
	last, err := reader.Last(ctx)
	if err != nil {
		return part, letters, err
	}
	lastLetter, err := reader.LastDeadLetter(ctx)
	return replay.Range{From: last + 1}, replay.Range{From: lastLetter + 1}, err
}

// tailPrinter shows the events of the log and the dead letters, one at a time.
type tailPrinter struct {
	*tailCommand
	out   *terminal
	mu    sync.Mutex
	shown int
}

func (p *tailPrinter) show(stream string, m replay.Message) error {
	e, err := m.Event()
	if !p.matches(m, e) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.enough() {
		return errEnough
	}
	p.shown++
	if err := p.write(stream, m, e, err); err != nil {
		return err
	}
	if p.enough() {
		return errEnough
	}
	return nil
}

// enough reports whether --count events were shown.
func (p *tailPrinter) enough() bool { return p.Count != nil && p.shown == *p.Count }

func (p *tailPrinter) matches(m replay.Message, e events.Event) bool {
	if !p.wants(domainOf(m.Subject)) {
		return false
	}
	if p.Type != "" {
		if matched, err := path.Match(p.Type, e.Type); err != nil || !matched {
			return false
		}
	}
	return p.Order == "" || e.CorrelationID == p.Order || strings.HasSuffix(m.Subject, "."+p.Order)
}

// tailLine is an event as ops tail --json writes it.
type tailLine struct {
	Stored   time.Time      `json:"stored"`
	Stream   string         `json:"stream"`
	Sequence uint64         `json:"sequence"`
	Subject  string         `json:"subject"`
	ID       string         `json:"id,omitempty"`
	Type     string         `json:"type,omitempty"`
	Source   string         `json:"source,omitempty"`
	Actor    string         `json:"actor,omitempty"` // who caused it
	OrderID  string         `json:"order_id,omitempty"`
	Cause    string         `json:"causation_id,omitempty"`
	Payload  events.Payload `json:"payload,omitempty"`
	Error    string         `json:"error,omitempty"` // why it cannot be read
}

// subjectWidth is what a line shows of a subject at most, so that most events are on two lines. An id of 36 characters keeps its ends.
const subjectWidth = 32

func (p *tailPrinter) write(stream string, m replay.Message, e events.Event, unreadable error) error {
	summary := ""
	if unreadable != nil {
		summary = unreadable.Error()
	}
	if p.JSON {
		line, err := json.Marshal(tailLine{Stored: m.Stored.UTC(), Stream: stream, Sequence: m.Sequence, Subject: m.Subject, ID: e.ID, Type: e.Type,
			Source: e.Source, Actor: e.Actor, OrderID: e.CorrelationID, Cause: e.CausationID, Payload: e.Payload, Error: summary})
		if err != nil {
			return err
		}
		return p.out.emit(string(text.PrintableJSON(line)))
	}
	if unreadable == nil {
		summary = replay.Summary(e)
	}
	prefix := fmt.Sprintf("%s  %7d  ", m.Stored.Local().Format("15:04:05.000"), m.Sequence)
	subject := m.Subject
	if !p.out.wide {
		subject = cut(oneLine(subject), subjectWidth)
	}
	shown := cell{strings.Join([]string{cmp.Or(e.Type, "(no event)"), subject, summary}, "  "), eventStyle(m.Subject, e.Type)}
	return p.out.hang(p.out.paint(dim, prefix), len(prefix), shown, true, len(prefix)+2)
}
