package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/lookup"
	"tillstream/events/replay"
)

// timelineCommand is ops timeline.
type timelineCommand struct {
	target.Target `embed:""`
	Order         string `arg:"" help:"Id of the order, or its number, which customers quote."`
	JSON          bool   `name:"json" help:"Write JSON, with every event in full."`
}

// Help is shown by ops timeline --help.
func (timelineCommand) Help() string {
	return `Gathers the order's own events, its reservation and stock movements, its payment with Stripe's webhooks, its mails, and the dead letters about it. Causes come before their effects: "← 3" means that line 3 caused this one. TIME counts from the first line. SEQ is the sequence in the log, or D and the number of a dead letter.

Examples:
  ops timeline 4XRJK-QYW5E
  ops timeline 4XRJK-QYW5E --json | jq '.entries[].type'`
}

// Run shows the timeline of one order.
func (c *timelineCommand) Run(ctx context.Context, out *terminal) error {
	reader, id, stop, err := openOrder(ctx, c.Target, c.Order, out)
	if err != nil {
		return err
	}
	defer stop()
	history, err := reader.Timeline(ctx, id)
	if err != nil {
		return err
	}
	return out.answer(c.JSON, history, func() error { return writeTimeline(history, out) }, false)
}

func writeTimeline(history replay.History, out *terminal) error {
	first := history.Entries[0].Stored.Local()
	if err := out.printf("order %s, from %s\n", history.OrderID, first.Format("2006-01-02 15:04:05 MST")); err != nil {
		return err
	}
	t := newTable("#>", "TIME>", "CAUSE", "SEQ>", "EVENT")
	t.lead = true
	for _, e := range history.Entries {
		cause := ""
		if e.Cause > 0 {
			cause = fmt.Sprintf("← %d", e.Cause)
		}
		t.add(fmt.Sprint(e.Number), offset(e.After), cell{cause, dim}, cell{sequenceText(e), dim}, cell{e.Type + "  " + e.Summary, eventStyle(e.Subject, e.Type)})
	}
	if err := t.write(out); err != nil {
		return err
	}
	for _, lost := range history.Missing {
		if err := out.item(cell{"missing in the log", red}, lost+"; the log is damaged, see ops repair"); err != nil {
			return err
		}
	}
	return nil
}

// sequenceText is the sequence of an event, or D and the number of a dead letter.
func sequenceText(e replay.Entry) string {
	if e.Stream == events.StreamDeadLetters {
		return fmt.Sprintf("D%d", e.Sequence)
	}
	return fmt.Sprint(e.Sequence)
}

// offset formats the time since the first event, with fewer digits the longer it is.
func offset(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("+%.3fs", d.Seconds())
	case d < time.Hour:
		return "+" + d.Round(100*time.Millisecond).String()
	}
	return "+" + d.Round(time.Second).String()
}

// eventStyle gives each domain its own style.
func eventStyle(subject, eventType string) style {
	switch domainOf(subject) {
	case "orders":
		return bold
	case "inventory":
		return cyan
	case "payments":
		if eventType == (events.WebhookReceived{}).EventType() {
			return dim
		}
		return green
	case "notifications":
		return yellow
	case deadLetterDomain:
		return red
	}
	return plain
}

// domainOf returns the first token of a subject.
func domainOf(subject string) string {
	domain, _, _ := strings.Cut(subject, ".")
	return domain
}

// openOrder opens the log and finds an order in it. The caller calls stop when done.
func openOrder(ctx context.Context, flags target.Target, name string, out *terminal) (reader *replay.Reader, id string, stop func(), err error) {
	shop, reader, stop, err := openShop(ctx, flags)
	if err != nil {
		return nil, "", nil, err
	}
	if id, err = findOrder(ctx, shop, reader, name, out); err != nil {
		stop()
		return nil, "", nil, err
	}
	return reader, id, stop, nil
}

// findOrder returns the id of an order that is named by its id or number. Numbers are looked up in the database, and in the
// log if the database is unavailable or behind.
func findOrder(ctx context.Context, shop target.Shop, reader *replay.Reader, name string, out *terminal) (string, error) {
	typed := lookup.Parse(name, time.Now())
	id := cmp.Or(typed.UUID, typed.ID)
	if err := events.CheckID(id); err == nil {
		_, err := reader.Newest(ctx, events.PrefixOrder+id)
		if err == nil || !errors.Is(err, replay.ErrNotFound) {
			return id, err
		}
	}
	number := typed.Number
	if number == "" {
		return "", fmt.Errorf("no order has the id or number %s; ops orders --search finds orders by e-mail address, name and more", oneLine(name))
	}
	if shop.MongoDB != "" {
		id, err := findOrderNumber(ctx, shop, number)
		if err == nil {
			return id, nil
		}
		if !errors.Is(err, mongo.ErrNoDocuments) {
			out.note("the database is unavailable, reading the log instead: %v", err)
		}
	}
	id, err := reader.FindOrder(ctx, number)
	if errors.Is(err, replay.ErrNotFound) {
		return "", fmt.Errorf("no order has the id or number %s; ops orders --search finds orders by e-mail address, name and more", oneLine(name))
	}
	return id, err
}

// findOrderNumber looks an order number up in the collection of the orders' projection.
func findOrderNumber(ctx context.Context, shop target.Shop, number string) (string, error) {
	db, stop, err := shop.Database(ctx)
	if err != nil {
		return "", err
	}
	defer stop()
	var found struct {
		ID string `bson:"_id"`
	}
	if err := db.Collection("orders").FindOne(ctx, bson.D{{Key: "doc.number", Value: number}}).Decode(&found); err != nil {
		return "", fmt.Errorf("find order number %s: %w", number, err)
	}
	return found.ID, nil
}
