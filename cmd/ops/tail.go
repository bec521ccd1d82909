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
)

// tail is ops tail.
type tail struct {
	target.Target `embed:""`
	Domain        []string      `help:"Only events of these domains: orders, customers, inventory, payments, notifications, ops, deadletters." placeholder:"DOMAIN"`
	Type          string        `help:"Only events of this type; * stands for anything, as in 'orders.*'." placeholder:"TYPE"`
	Order         string        `help:"Only events about this order (its id)." placeholder:"ID"`
	Since         time.Duration `help:"Begin this long ago, such as 10m; without, with what comes now." placeholder:"DURATION"`
	Count         int           `help:"End after so many events." placeholder:"N"`
	JSON          bool          `name:"json" help:"Write one JSON object per line."`
}

// Help is shown by ops tail --help.
func (tail) Help() string { return "Runs until Ctrl-C, or until --count events were shown." }

// deadLetterDomain stands for the dead letters, which no domain of the shop appends.
const deadLetterDomain = "deadletters"

// domains are the first tokens of the subjects that there are.
var domains = []string{"orders", "customers", "inventory", "payments", "notifications", "ops", deadLetterDomain}

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
	for _, name := range c.Domain {
		if !slices.Contains(domains, name) {
			return fmt.Errorf("--domain %s: there are %s", name, strings.Join(domains, ", "))
		}
	}
	return nil
}

// Run shows events until the terminal is tired of it.
func (c *tail) Run(ctx context.Context, out *terminal) error {
	reader, stop, err := c.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	part, letters, err := c.begin(ctx, reader)
	if err != nil {
		return err
	}
	printer := &tailPrinter{tail: c, out: out}
	part.Gap = func(from, to uint64) {
		out.note("the log is damaged: %d to %d are missing; ops repair says more", from, to)
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
	out.note("following %s; Ctrl-C ends", c.what())
	if err := group.Wait(); err != nil && !errors.Is(err, errEnough) && ctx.Err() == nil {
		return err
	}
	return nil
}

// what says what is shown.
func (c *tail) what() string {
	if len(c.Domain) == 0 {
		return "everything"
	}
	return strings.Join(c.Domain, ", ")
}

func (c *tail) wants(domain string) bool {
	return len(c.Domain) == 0 || slices.Contains(c.Domain, domain)
}

// begin says where to begin. "Now" is the sequence behind the last, so that nothing is missed meanwhile.
func (c *tail) begin(ctx context.Context, reader *replay.Reader) (part, letters replay.Range, err error) {
	if c.Since > 0 {
		part.Since = time.Now().Add(-c.Since)
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
	*tail
	out   *terminal
	mu    sync.Mutex
	shown int
}

func (p *tailPrinter) show(stream string, m replay.Message) error {
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
	if err := p.print(stream, m, e, err); err != nil {
		return err
	}
	if p.shown == p.Count {
		return errEnough
	}
	return nil
}

func (p *tailPrinter) wanted(m replay.Message, e events.Event) bool {
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

// tailed is an event as ops tail --json writes it.
type tailed struct {
	Stored   time.Time      `json:"stored"`
	Stream   string         `json:"stream"`
	Sequence uint64         `json:"sequence"`
	Subject  string         `json:"subject"`
	ID       string         `json:"id,omitempty"`
	Type     string         `json:"type,omitempty"`
	Source   string         `json:"source,omitempty"`
	Actor    string         `json:"actor,omitempty"` // who brought it about
	OrderID  string         `json:"order_id,omitempty"`
	Cause    string         `json:"causation_id,omitempty"`
	Payload  events.Payload `json:"payload,omitempty"`
	Error    string         `json:"error,omitempty"`
}

func (p *tailPrinter) print(stream string, m replay.Message, e events.Event, unreadable error) error {
	summary := ""
	if unreadable != nil {
		summary = unreadable.Error()
	}
	if p.JSON {
		line, err := json.Marshal(tailed{Stored: m.Stored.UTC(), Stream: stream, Sequence: m.Sequence, Subject: m.Subject, ID: e.ID, Type: e.Type,
			Source: e.Source, Actor: e.Actor, OrderID: e.CorrelationID, Cause: e.CausationID, Payload: e.Payload, Error: summary})
		if err != nil {
			return err
		}
		return p.out.printf("%s", line)
	}
	if unreadable == nil {
		summary = replay.Summary(e)
	}
	prefix := fmt.Sprintf("%s  %7d  ", m.Stored.Local().Format("15:04:05.000"), m.Sequence)
	says := cell{oneLine(strings.Join([]string{cmp.Or(e.Type, "(no event)"), m.Subject, summary}, "  ")), eventStyle(m.Subject, e.Type)}
	return p.out.hang(p.out.paint(dim, prefix), len(prefix), says, true, len(prefix)+2)
}
