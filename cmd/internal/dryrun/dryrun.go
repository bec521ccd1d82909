// Package dryrun builds the domains of the shop on a log to find out what handling an event would do. The domains serve no requests,
// connect to no server and append nothing: a [worker.Dispatcher] runs their decisions on the state in the log and returns the facts.
package dryrun

import (
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/auth"
	"tillstream/cmd/internal/staff"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// Settings with which the domains are built for a dry run. The domains connect to no server, and their decisions depend on only
// one setting: whether Stripe's key is a live key.
const (
	dummySecret         = "not a secret: a dry run serves no requests"
	dummyWebhookSecret  = "whsec_not_a_secret_of_stripe"
	dummyStripeKey      = "sk_test_dry_run"
	dummyPublishableKey = "pk_test_dry_run"
	liveKey             = "_live_"
)

// Dispatcher builds the domains on a log and returns a dispatcher that handles events by their routes. Of stripeKey, which may
// be empty, only the mode counts.
func Dispatcher(l *eventlog.Log, stripeKey string) (*worker.Dispatcher, error) {
	tokens, err := auth.New(auth.Config{Secrets: dummySecret})
	if err != nil {
		return nil, err
	}
	access := auth.Access{Tokens: tokens, StaffAccess: staff.NewDirectory(l)}
	secret, publishable := dummyStripeKey, dummyPublishableKey
	if strings.Contains(stripeKey, liveKey) {
		secret, publishable = strings.Replace(secret, "_test_", liveKey, 1), strings.Replace(publishable, "_test_", liveKey, 1)
	}
	stock, err1 := inventory.New(inventory.Config{Access: access, Log: l.ForDomain("inventory")})
	order, err2 := orders.New(orders.Config{Access: access, DB: new(mongo.Database), Log: l.ForDomain("orders"), Logger: l.Logger()})
	payment, err3 := payments.New(payments.Config{Access: access, DB: new(mongo.Database), Log: l.ForDomain("payments"), SecretKey: secret,
		PublishableKey: publishable, WebhookSecret: dummyWebhookSecret})
	mail, err4 := notifications.New(notifications.Config{Access: access, Log: l.ForDomain("notifications"), From: "shop@example.com",
		PublicURL: "https://shop.example.com", SMTPURL: "smtp://localhost:1"})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, fmt.Errorf("build the domains for a dry run: %w", err)
	}
	return worker.NewDispatcher(stock.Worker(), order.Worker(), payment.Worker(), mail.Worker()), nil
}
