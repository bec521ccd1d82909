//go:build unix

package crashtest_test

import (
	"net/http"
	"slices"
	"testing"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	"tillstream/orders"
)

// openWithBank opens a shop whose payments are taken by a sandbox that is not killed with it.
func openWithBank(t *testing.T, settings ...string) (*bank, *deployment) {
	t.Helper()
	b := openBank(t)
	d := openSingle(t, append([]string{longHold, "STRIPE_API_BASE=" + b.url, "STRIPE_SECRET_KEY=" + secretKey, "STRIPE_PUBLISHABLE_KEY=" + publishableKey,
		"STRIPE_WEBHOOK_SECRET=" + webhookSecret}, settings...)...)
	b.deliverTo(t, d.shop.Storefront)
	return b, d
}

// Row 33 of the fault matrix: Stripe captures by itself, and the shop is killed when it has stored the webhook or begins to ask Stripe.
func TestKilledWithAutomaticCapture(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"http.webhook_received", "http.webhook_stored", "act.done@payments.stripe"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			_, d := openWithBank(t, "PAYMENTS_CAPTURE="+events.CaptureAutomatic)
			runRound(t, newCrowd(t, d, "payer"), at(t, point))
		})
	}
}

// Row 33 of the fault matrix: the shop is killed before or after it captures the money of a parcel. The money is captured once.
func TestKilledAroundTheCaptureOfAParcel(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"payments.before_capture", "payments.after_capture"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			b, d := openWithBank(t, "PAYMENTS_CAPTURE="+events.CaptureAtFulfilment)
			c := newCrowd(t, d, "payer")
			s := c.add(pays)
			c.waitFor(t, []*shopper{s})
			address := d.shop.Ops + "/ops/api/orders/" + s.id + "/fulfilments"
			d.arm(t, at(t, point))
			a, err := s.send(t.Context(), call{method: http.MethodPost, url: address, bearer: d.shop.OpsKey, key: "the-parcel-of-" + s.name, contentType: "application/json", body: []byte(`{}`)})
			var sent orders.Fulfilment
			if err == nil && a.status != 0 {
				err = a.into(http.StatusCreated, &sent)
			}
			if err != nil {
				t.Fatal(err)
			}
			victim := d.awaitTriggered(t)
			awaitDeath(t, victim)
			victim.start(t)
			var now orders.FulfilmentsBody
			proc.WaitFor(t, "the money is captured", triggerTime, func() bool {
				a, err := s.send(t.Context(), call{method: http.MethodGet, url: d.shop.Ops + "/ops/api/orders/" + s.id + "/fulfilments", bearer: d.shop.OpsKey})
				return err == nil && a.into(http.StatusOK, &now) == nil && now.Captured == now.Total
			})
			intent := c.history(t, events.PrefixPayment, "payments.intent_created")[0].Payload.(events.PaymentIntentCreated).PaymentIntent
			keys := slices.Compact(b.keysOf("/v1/payment_intents/" + intent + "/capture"))
			if len(keys) != 1 || keys[0] != events.FirstPaymentID(s.id)+"/capture/v1" || len(now.Fulfilments) != 1 {
				t.Errorf("got captures under the keys %v and fulfilments %+v, want one of each", keys, now.Fulfilments)
			}
			c.verify(t)
		})
	}
}
