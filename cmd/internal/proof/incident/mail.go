package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/events/replay"
	"tillstream/notifications/inbox"
)

// mailLane is the lane that sends mails.
const mailLane = "notifications.mail"

// refusal is what the mail server answers to the shop's sender.
const refusal = "5.7.1 Sender address rejected: your account is suspended"

// MailRefused lets the mail server refuse the shop for a time, while the shop sells, and waits until every mail is sent.
func (i *Incident) MailRefused(ctx context.Context, length time.Duration) error {
	var refused atomic.Int64
	mail := i.Shop.Outside.Inbox
	mail.Intercept(func(_ context.Context, at inbox.Stage, _, _ string) error {
		if at != inbox.StageMail {
			return nil
		}
		refused.Add(1)
		return inbox.Refuse(550, refusal)
	})
	defer mail.Intercept(nil)
	end := time.NewTimer(length)
	defer end.Stop()
	if err := i.step("The mail server refuses the shop's sender from now on, for %s.", length); err != nil {
		return err
	}
	if err := i.noticeRefusal(ctx); err != nil {
		return err
	}
	select {
	case <-end.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	confirmed, _ := i.Sales()
	if err := i.step("%s confirmed so far, %s delivered; the server has refused %s.", output.Count(confirmed, "order"),
		output.Count(len(mail.Messages("")), "mail"), output.Count(refused.Load(), "attempt")); err != nil {
		return err
	}
	if _, err := i.ops(ctx, 0, "lag"); err != nil {
		return err
	}
	mail.Intercept(nil)
	return i.recovers(ctx)
}

// noticeRefusal is what staff do when the alert fires. The shop must go on selling.
func (i *Incident) noticeRefusal(ctx context.Context) error {
	if err := i.circuit(ctx, "is open with the server's words", func(reason string) bool { return strings.Contains(reason, refusal) }); err != nil {
		return err
	}
	if err := i.step("The circuit of %s is open.", mailLane); err != nil {
		return err
	}
	if err := i.alarm(ctx, "notifications", "circuit_open", `tillstream_lane_circuit_open{lane="`+mailLane+`"}`); err != nil {
		return err
	}
	if _, err := i.ops(ctx, 0, "lag"); err != nil {
		return err
	}
	if err := i.sells(ctx, 10); err != nil {
		return err
	}
	return i.step("Mails wait in the log. The shop sells: 10 more orders confirmed.")
}

// recovers waits until the lane works again and each order has its mail.
func (i *Incident) recovers(ctx context.Context) error {
	began := time.Now()
	if err := i.step("The mail server accepts the sender again. Staff do nothing."); err != nil {
		return err
	}
	if err := i.circuit(ctx, "is closed", func(reason string) bool { return reason == "" }); err != nil {
		return err
	}
	if err := i.grows(ctx, "mails", i.mailed); err != nil {
		return err
	}
	if err := i.step("Every mail that waited was sent %s later.", time.Since(began).Round(100*time.Millisecond)); err != nil {
		return err
	}
	_, err := i.ops(ctx, 0, "lag")
	return err
}

// circuit waits until the circuit of the mail lane is as wanted.
func (i *Incident) circuit(ctx context.Context, wanted string, is func(reason string) bool) error {
	return i.until(ctx, "the circuit of "+mailLane+" "+wanted, func(ctx context.Context) (bool, error) {
		lanes, err := i.reader.Lanes(ctx)
		n := slices.IndexFunc(lanes, func(l replay.Lane) bool { return l.Name == mailLane })
		return n >= 0 && is(lanes[n].CircuitOpen), err
	})
}

// mailed returns how many mails the server has accepted, and how many orders are confirmed.
func (i *Incident) mailed(context.Context) (have, want int, err error) {
	confirmed, _ := i.Sales()
	return len(i.Shop.Outside.Inbox.Messages("")), confirmed, nil
}

// mailedOnce expects one mail for each confirmed order, each with another Message-ID.
func (i *Incident) mailedOnce(ctx context.Context) error {
	confirmed, _ := i.Sales()
	mail := i.Shop.Outside.Inbox
	if err := i.grows(ctx, "mails", i.mailed); err != nil {
		return err
	}
	copies, recipients := map[string]int{}, map[string]int{}
	for _, m := range mail.Messages("") {
		copies[m.MessageID]++
		recipients[m.To]++
	}
	for _, counted := range []map[string]int{copies, recipients} {
		for name, n := range counted {
			if n != 1 || len(counted) != confirmed {
				return fmt.Errorf("%w: got %d mails of %s and %d in all, want one for each of %d orders", ErrUnexpected, n, name, len(counted), confirmed)
			}
		}
	}
	return i.step("%s, %s: each order has exactly one.", output.Count(confirmed, "order"), output.Count(len(copies), "mail"))
}
