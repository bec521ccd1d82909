package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/replay"
)

// timeline is ops timeline.
type timeline struct {
	target.Target `embed:""`
	Order         string `arg:"" help:"Id of the order, or the number that its customer quotes."`
	JSON          bool   `name:"json" help:"Write JSON, with every event whole."`
}

// Help is shown by ops timeline --help.
func (timeline) Help() string {
	return `Gathers the order's own events, its reservation and the stock that moved for it, its payment with Stripe's webhooks, its mails, and the dead letters about it. Causes stand before their effects; ← 3 means that line 3 caused it. The time is since the first line; SEQ is the sequence in the log, or D and the number of a dead letter.`
}

// Run shows one order's timeline.
func (c *timeline) Run(ctx context.Context, out *terminal) error {
	shop, err := c.Resolve()
	if err != nil {
		return err
	}
	reader, stop, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	id, err := orderID(ctx, shop, reader, c.Order, out)
	if err != nil {
		return err
	}
	history, err := reader.Timeline(ctx, id)
	if err != nil {
		return err
	}
	if c.JSON {
		return out.json(history)
	}
	return writeTimeline(history, out)
}

func writeTimeline(history replay.History, out *terminal) error {
	first := history.Entries[0].Stored.Local()
	if err := out.printf("order %s, from %s\n", history.OrderID, first.Format("2006-01-02 15:04:05 MST")); err != nil {
		return err
	}
	t := newTable("#>", "TIME>", "CAUSE", "SEQ>", "EVENT, AND WHAT IT SAYS")
	t.lead = true
	for _, e := range history.Entries {
		cause, sequence := "", fmt.Sprint(e.Sequence)
		if e.Cause > 0 {
			cause = fmt.Sprintf("← %d", e.Cause)
		}
		if e.Stream == events.StreamDeadLetters {
			sequence = fmt.Sprintf("D%d", e.Sequence)
		}
		t.add(fmt.Sprint(e.Number), offset(e.After), cell{cause, dim}, cell{sequence, dim}, cell{e.Type + "  " + e.Summary, eventStyle(e.Subject, e.Type)})
	}
	return t.write(out)
}

// offset writes how long after the first event one came, with as many digits as matter.
func offset(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("+%.3fs", d.Seconds())
	case d < time.Hour:
		return "+" + d.Round(100*time.Millisecond).String()
	}
	return "+" + d.Round(time.Second).String()
}

// eventStyle tells the domains apart by the first token of their subjects.
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
	case "deadletters":
		return red
	}
	return plain
}

// domainOf is the first token of a subject.
func domainOf(subject string) string {
	domain, _, _ := strings.Cut(subject, ".")
	return domain
}

// orderID takes an id as it is and looks a number up: in the orders collection, else in the log.
func orderID(ctx context.Context, shop target.Shop, reader *replay.Reader, text string, out *terminal) (string, error) {
	if err := events.CheckID(text); err != nil {
		return "", err
	}
	_, err := reader.Newest(ctx, events.PrefixOrder+text)
	if err == nil || !errors.Is(err, replay.ErrNotFound) {
		return text, err
	}
	number := strings.ToUpper(text)
	if shop.MongoDB != "" {
		id, err := numbered(ctx, shop, number)
		if err == nil {
			return id, nil
		}
		if !errors.Is(err, mongo.ErrNoDocuments) {
			out.note("cannot look the number up in the database, reading the log instead: %v", err)
		}
	}
	id, err := reader.FindOrder(ctx, number)
	if errors.Is(err, replay.ErrNotFound) {
		return "", fmt.Errorf("no order has the id or number %s; ops orders --q EMAIL finds a customer's", text)
	}
	return id, err
}

// numbered finds an order by its number in the collection that the orders' projection keeps.
func numbered(ctx context.Context, shop target.Shop, number string) (string, error) {
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
