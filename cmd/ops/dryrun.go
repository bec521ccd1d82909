package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/auth"
	"tillstream/cmd/internal/target"
	"tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/events/worker"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// Settings that a dry run needs in order to build the domains, and that no decision depends on: nothing is connected, asked or
// sent. Of Stripe's key a decision looks at whether the money is real.
const (
	anySecret         = "not a secret: a dry run lets nobody in"
	anyStripeKey      = "sk_test_dry_run"
	anyPublishableKey = "pk_test_dry_run"
	liveKey           = "_live_"
)

// dispatcherFor builds the domains on a log and returns what handles events by their routes.
func dispatcherFor(l *log.Log, stripeKey string) (*worker.Dispatcher, error) {
	tokens, err := auth.New(anySecret, anySecret)
	if err != nil {
		return nil, err
	}
	if stripeKey == "" {
		stripeKey = anyStripeKey
	}
	publishable := anyPublishableKey
	if strings.Contains(stripeKey, liveKey) {
		publishable = strings.Replace(publishable, "_test_", liveKey, 1)
	}
	stock, err1 := inventory.New(inventory.Config{Access: tokens, Log: l.ForDomain("inventory")})
	order, err2 := orders.New(orders.Config{Access: tokens, DB: new(mongo.Database), Log: l.ForDomain("orders"), Logger: l.Logger()})
	payment, err3 := payments.New(payments.Config{Access: tokens, DB: new(mongo.Database), Log: l.ForDomain("payments"), SecretKey: stripeKey,
		PublishableKey: publishable, WebhookSecret: anySecret})
	mail, err4 := notifications.New(notifications.Config{Access: tokens, Log: l.ForDomain("notifications"), From: "shop@example.com",
		PublicURL: "https://shop.example.com", SMTPURL: "smtp://localhost:1"})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, fmt.Errorf("build the domains for a dry run: %w", err)
	}
	return worker.NewDispatcher(stock.Worker(), order.Worker(), payment.Worker(), mail.Worker()), nil
}

// dryRunOf is what redriving one dead letter would do.
type dryRunOf struct {
	Number         uint64 `json:"number"`
	Lane           string `json:"lane"`
	Sequence       uint64 `json:"sequence"`
	worker.Effects `json:"effects"`
}

// dryRun says what redriving dead letters would do now. It returns errOff when one would fail again.
func dryRun(ctx context.Context, shop target.Shop, reader *replay.Reader, letters []replay.DeadLetter, asJSON bool, out *terminal) error {
	dispatcher, err := dispatcherFor(reader.Log(), shop.StripeSecretKey)
	if err != nil {
		return err
	}
	var result error
	runs := []dryRunOf{}
	for _, d := range letters {
		m, err := reader.Original(ctx, d)
		if err != nil {
			return fmt.Errorf("dry run of dead letter %d: %w", d.Number, err)
		}
		effects, err := dispatcher.Dispatch(ctx, worker.Delivery{Item: &worker.Item{Message: m}, Lane: d.Worker, Attempt: d.Attempt + 1}, true)
		if err != nil {
			return fmt.Errorf("dry run of dead letter %d: %w", d.Number, err)
		}
		if len(effects.Failures) > 0 {
			result = errOff
		}
		runs = append(runs, dryRunOf{d.Number, d.Worker, d.Sequence, effects})
	}
	if asJSON {
		return errors.Join(out.json(map[string]any{"dead_letters": runs}), result)
	}
	if len(runs) == 0 {
		return out.printf("no open dead letters")
	}
	for _, run := range runs {
		if err := run.write(out); err != nil {
			return err
		}
	}
	return result
}

func (run dryRunOf) write(out *terminal) error {
	problems := []error{out.item(cell{fmt.Sprint(run.Number), bold}, fmt.Sprintf("%s would handle the event at %d again:", run.Lane, run.Sequence))}
	item := func(name string, s style, e worker.Effect, text string) {
		problems = append(problems, out.item(cell{"  " + name, s}, fmt.Sprintf("%s: %s on %s%s", e.Handler, cmp.Or(e.Type, "(no event)"), e.Subject, text)))
	}
	for _, e := range run.Facts {
		item("append", green, e, "")
	}
	for _, e := range run.Acts {
		item("act   ", cyan, e, "")
	}
	for _, f := range run.Failures {
		item("fail  ", red, f.Effect, ": "+f.Error)
	}
	if len(run.Facts)+len(run.Acts)+len(run.Failures) == 0 {
		problems = append(problems, out.printf("  nothing: the event has had its effect"))
	}
	return errors.Join(problems...)
}
