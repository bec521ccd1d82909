package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/entities"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// orderCommand is ops order.
type orderCommand struct {
	target.Target `embed:""`
	Order         string `arg:"" help:"Number of the order, which customers quote, or its id."`
	JSON          bool   `name:"json" help:"Write JSON: {order, payment, messages, events, problems, next}."`
}

// Help is shown by ops order --help.
func (orderCommand) Help() string {
	return `The page is read from the log, so it is right while lists and searches are behind. Stock movements and Stripe's webhooks are left out; ops timeline shows them.

Examples:
  ops order 4XRJK-QYW5E
  ops order 4xrjk-qyw5e --json

Exit codes: 0 nothing is wrong with the order; 1 something is, such as a dead letter or a mail that failed; 2 it could not be done.`
}

// orderPage is what staff need to know about one order.
type orderPage struct {
	Order    orders.Order            `json:"order"`
	Payment  *entities.Payment       `json:"payment,omitempty"`
	Messages []notifications.Message `json:"messages"`
	Events   []replay.Entry          `json:"events"`
	Problems []string                `json:"problems"`
	Next     []string                `json:"next"` // commands
}

// Run shows the page of one order.
func (c *orderCommand) Run(ctx context.Context, out *terminal) error {
	reader, id, stop, err := openOrder(ctx, c.Target, c.Order, out)
	if err != nil {
		return err
	}
	defer stop()
	page, err := readOrder(ctx, reader, id)
	if err != nil {
		return err
	}
	return out.answer(c.JSON, page, func() error { return page.write(out) }, len(page.Problems) > 0)
}

// readOrder reads the page of an order.
func readOrder(ctx context.Context, reader *replay.Reader, id string) (page orderPage, err error) {
	page = orderPage{Messages: []notifications.Message{}, Problems: []string{}}
	now, err := reader.At(ctx, replay.Moment{Time: time.Now()})
	if err != nil {
		return page, err
	}
	for _, part := range []struct{ kind, id string }{{"order", id}, {"payment", events.FirstPaymentID(id)}, {"reservation", id}, {"notification", id}} {
		i := slices.IndexFunc(entities.Kinds(), func(k replay.Kind) bool { return k.Name == part.kind })
		s, err := reader.StateAt(ctx, entities.Kinds()[i], part.id, now)
		if err != nil {
			return page, err
		}
		page.add(s)
	}
	history, err := reader.Timeline(ctx, id)
	if err != nil {
		return page, err
	}
	page.addEvents(history)
	return page, nil
}

// add adds the state of one of the order's entities.
func (p *orderPage) add(s replay.EntityState) {
	switch value := s.Value.(type) {
	case orders.Order:
		p.Order = value
	case entities.Payment:
		p.Payment = &value
		for id, r := range value.Refunds {
			if r.Failed && !value.Replaced(id) {
				p.Problems = append(p.Problems, fmt.Sprintf("refund %s of %s failed: %s; the customer does not have the money", id, r.Amount, r.Reason))
				p.Next = append(p.Next, "ops refund "+value.OrderID+" --again "+id+" --reason TEXT")
			}
		}
		for id, d := range value.Disputes {
			if d.Open() {
				p.Problems = append(p.Problems, "dispute "+id+" "+disputeText(d))
			}
		}
	case notifications.Notification:
		p.Messages = value.Messages
		for _, m := range value.Messages {
			if m.Status == notifications.StatusFailed || m.Status == notifications.StatusUnknown {
				p.Problems = append(p.Problems, fmt.Sprintf("mail %s is %s: %s", m.Template, m.Status, m.Error))
			}
		}
	}
	if s.Error != "" {
		p.Problems = append(p.Problems, fmt.Sprintf("the %s cannot be read: %s", s.Kind, s.Error))
		p.Next = append(p.Next, "ops void --help", "ops repair --help")
	}
}

// leftOut are the types of events that the page leaves out.
var leftOut = []string{events.StockHeld{}.EventType(), events.StockReleased{}.EventType(), events.StockCommitted{}.EventType(), events.StockReturned{}.EventType(), events.WebhookReceived{}.EventType(),
	events.MessageQueued{}.EventType(), events.MessageSending{}.EventType()}

// addEvents adds the events of the order, and what is wrong with them.
func (p *orderPage) addEvents(history replay.History) {
	number, open := map[string]uint64{}, map[string]bool{} // of dead letters, by subject
	for _, e := range history.Entries {
		if !slices.Contains(leftOut, e.Type) {
			p.Events = append(p.Events, e)
		}
		if e.Stream != events.StreamDeadLetters {
			continue
		}
		if number[e.Subject] == 0 {
			number[e.Subject] = e.Sequence
		}
		_, open[e.Subject] = e.Payload.(events.DeadLettered)
	}
	for _, subject := range slices.Sorted(maps.Keys(open)) {
		if open[subject] {
			p.Problems = append(p.Problems, fmt.Sprintf("%s is an open dead letter", strings.TrimPrefix(subject, events.PrefixDeadLetter)))
			p.Next = append(p.Next, fmt.Sprintf("ops deadletters show %d", number[subject]))
		}
	}
	for _, lost := range history.Missing {
		p.Problems = append(p.Problems, "missing in the log: "+lost)
	}
	name := cmp.Or(p.Order.Number, history.OrderID)
	if p.Order.Fulfillable() {
		p.Next = append(p.Next, "ops fulfil "+name+" --carrier NAME --tracking NUMBER")
	}
	p.Next = append(p.Next, "ops timeline "+name, fmt.Sprintf("ops diff %s %d", name, history.Entries[0].Sequence))
}

func (p *orderPage) write(out *terminal) error {
	o := p.Order
	customer := "guest"
	if o.CustomerID != "" {
		customer = "customer " + o.CustomerID
	}
	place := strings.Join(notEmpty(o.ShipTo.Line1, o.ShipTo.Line2, o.ShipTo.PostalCode+" "+o.ShipTo.City, o.ShipTo.Country), ", ")
	problems := []error{
		out.item(cell{o.Number, bold}, fmt.Sprintf("%s · %s · %s · %s", o.Status, o.Payment, o.Fulfilment, o.Total)),
		out.item(cell{"customer", dim}, fmt.Sprintf("%s <%s>, %s", o.Customer.Name, o.Customer.Email, customer)),
		out.item(cell{"ship to ", dim}, place),
		out.item(cell{"placed  ", dim}, o.PlacedAt.Local().Format(millis)),
		out.item(cell{"id      ", dim}, o.ID),
	}
	if o.Reason != "" {
		problems = append(problems, out.item(cell{"reason  ", dim}, o.Reason))
	}
	for _, text := range p.Problems {
		problems = append(problems, out.item(cell{"problem ", red}, text))
	}
	problems = append(problems, out.printf(""), p.writeLines(out), out.printf(""), p.writeMoney(out), p.writeParcels(out), p.writeMessages(out), out.printf(""), p.writeEvents(out), out.printf(""))
	for _, command := range p.Next {
		problems = append(problems, out.item(cell{"next", dim}, command))
	}
	return errors.Join(problems...)
}

func notEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return strings.TrimSpace(s) == "" })
}

func (p *orderPage) writeLines(out *terminal) error {
	t := newTable("QTY>", "SKU", "EACH>", "TOTAL>", "TITLE")
	for _, l := range p.Order.Lines {
		t.add(fmt.Sprint(l.Quantity), cell{l.SKU, bold}, l.UnitPrice.String(), l.Total.String(), l.Title)
	}
	o := p.Order
	return errors.Join(t.write(out), out.item(cell{"total", bold}, fmt.Sprintf("%s = %s + delivery %s + tax %s", o.Total, o.Subtotal, o.Shipping, o.Tax)))
}

// writeMoney writes what was authorized, captured and refunded.
func (p *orderPage) writeMoney(out *terminal) error {
	if p.Payment == nil {
		return out.item(cell{"payment", bold}, "none was requested")
	}
	pay := p.Payment
	text := fmt.Sprintf("%s · authorized %s", pay.Status, inCurrency(pay.Authorized, pay.Amount))
	if pay.Status == payments.StatusAuthorized && !pay.AuthorizedUntil.IsZero() {
		text += " until " + pay.AuthorizedUntil.Local().Format("2006-01-02 15:04")
	}
	text += fmt.Sprintf(" · captured %s", inCurrency(pay.Captured, pay.Amount))
	if refunded, err := pay.Refunded(); err == nil && len(pay.Refunds) > 0 {
		text += fmt.Sprintf(" · refunded %s", refunded)
	}
	if e := pay.LastError; e != nil {
		text += " · last declined: " + e.Message
	}
	problems := []error{out.item(cell{"payment", bold}, text), out.item(cell{"       ", dim}, strings.TrimSpace(pay.PaymentIntent+" payment:"+pay.ID))}
	if sum, ok := pay.Settlement(); ok {
		booked := fmt.Sprintf("gross %s - refunded %s - disputed %s - fees %s = net %s", sum.Gross, sum.Refunded, sum.Disputed, sum.Fees, sum.Net)
		problems = append(problems, out.item(cell{"booked ", bold}, booked))
	}
	for _, id := range slices.Sorted(maps.Keys(pay.Disputes)) {
		problems = append(problems, out.item(cell{"dispute", bold}, id+" "+disputeText(pay.Disputes[id])))
	}
	return errors.Join(problems...)
}

// inCurrency returns an amount of a payment, with the currency of the payment if nothing has set the amount yet.
func inCurrency(amount, of events.Money) events.Money {
	return events.Money{Amount: amount.Amount, Currency: cmp.Or(amount.Currency, of.Currency)}
}

// writeParcels writes what was sent.
func (p *orderPage) writeParcels(out *terminal) error {
	var problems []error
	for _, f := range p.Order.Fulfilments {
		var goods []string
		for _, l := range f.Lines {
			goods = append(goods, fmt.Sprintf("%d × %s", l.Quantity, l.SKU))
		}
		text := strings.Join(notEmpty(strings.Join(goods, ", "), strings.TrimSpace(f.Carrier+" "+f.Tracking), f.SentAt.Local().Format(millis)), " · ")
		problems = append(problems, out.item(cell{"parcel ", bold}, text))
	}
	return errors.Join(problems...)
}

// disputeText describes a dispute in one line.
func disputeText(d payments.Dispute) string {
	text := fmt.Sprintf("of %s is %s (%s)", d.Amount, d.Status, d.Reason)
	if d.Open() && !d.EvidenceDue.IsZero() {
		text += ", evidence is due by " + d.EvidenceDue.UTC().Format(time.DateOnly)
	}
	return text
}

func (p *orderPage) writeMessages(out *terminal) error {
	var problems []error
	for _, m := range p.Messages {
		s := green
		if m.Status == notifications.StatusFailed || m.Status == notifications.StatusUnknown {
			s = red
		}
		text := fmt.Sprintf("%s · attempt %d · %s", m.Template, m.Attempt, m.ChangedAt.Local().Format(millis))
		problems = append(problems, out.item(cell{"mail " + string(m.Status), s}, strings.TrimSuffix(text+" · "+m.Error, " · ")))
	}
	return errors.Join(problems...)
}

func (p *orderPage) writeEvents(out *terminal) error {
	t := newTable("TIME>", "SEQ>", "EVENT")
	t.lead = true
	for _, e := range p.Events {
		t.add(offset(e.After), cell{sequenceText(e), dim}, cell{e.Type + "  " + e.Summary, eventStyle(e.Subject, e.Type)})
	}
	return t.write(out)
}
