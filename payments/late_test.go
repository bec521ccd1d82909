package payments

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"tillstream/events"
)

// permutations returns all orders of n numbers.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, shorter := range permutations(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(shorter), at, n-1))
		}
	}
	return all
}

// Row 42 of the fault matrix: the events of a payment arrive in every order that there is, and the payments end in the same state.
func TestEveryOrderOfArrivalEndsTheSame(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	var group sync.WaitGroup
	placed := map[string][]int{} // order id → order of arrival
	for _, order := range permutations(4) {
		orderID, p := f.placeOrder(1250)
		f.pay(p, "pm_card_visa")
		f.callStripe("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
		f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"250"}})
		bodies := [][]byte{
			webhookBody(p, orderID, "payment_intent.requires_action", func(object map[string]any) { object["status"] = "requires_action" }),
			webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil),
			webhookBody(p, orderID, "payment_intent.succeeded", captured1250),
			webhookBody(p, orderID, "refund.created", refundOfIntent(p.PaymentIntent)),
		}
		placed[orderID] = order
		group.Go(func() {
			for _, n := range order {
				f.post(bodies[n])
			}
		})
	}
	group.Wait()
	for orderID, order := range placed {
		f.waitForStatus(orderID, StatusPartlyRefunded)
		got := f.payment(orderID)
		refunded, err := got.Refunded()
		if err != nil || got.Captured != got.Amount || refunded.Amount != 250 || len(got.Refunds) != 1 || got.Waiting != "" {
			t.Errorf("events in the order %v: got %+v, want all captured and one refund of 250", order, got)
		}
	}
	f.expectNoDeadLetters()
}

// Row 43 of the fault matrix: the webhooks of an order that was cancelled arrive three days late. What was authorized is voided once, what
// was captured is refunded once, and the payment says so.
func TestWebhooksThreeDaysLateChangeNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		captured bool
		status   Status
		facts    map[string]int
	}{
		"Authorized": {false, StatusCancelled, map[string]int{"cancel_requested": 1, "cancelled": 1, "captured": 0, "refund_requested": 0}},
		"Captured":   {true, StatusRefunded, map[string]int{"captured": 1, "refund_requested": 1, "refunded": 1, "cancelled": 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, fixtureOptions{noWebhooks: true})
			orderID, p := f.placeOrder(1250)
			f.pay(p, "pm_card_visa")
			bodies := [][]byte{webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)}
			if test.captured {
				f.callStripe("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
				bodies = append(bodies, webhookBody(p, orderID, "payment_intent.succeeded", captured1250))
			}
			f.cancelOrder(orderID)
			f.waitForStatus(orderID, test.status)
			f.clockOffset.Store(int64(72 * time.Hour))
			for _, body := range slices.Concat(bodies, bodies) {
				if got := f.postWebhook(body, sign(body, webhookSecret, f.log.Now())); got != http.StatusOK {
					t.Errorf("late webhook: got HTTP %d, want 200", got)
				}
			}
			f.reconcileFromStart()
			f.stopWorker()
			got := f.countByType("payments." + events.FirstPaymentID(orderID))
			for fact, want := range test.facts {
				if got[fact] != want {
					t.Errorf("payments.%s: got %d, want %d", fact, got[fact], want)
				}
			}
			if status := f.payment(orderID).Status(); status != test.status {
				t.Errorf("payment: got %s, want %s", status, test.status)
			}
			f.expectNoDeadLetters()
		})
	}
}

// Row 46 of the fault matrix: a thousand webhooks arrive at once. Each is stored, or answered 503 so that Stripe sends it again.
func TestThousandWebhooksAtOnceAreStoredOrRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	bodies := make([][]byte, 1000)
	for i := range bodies {
		kind := "customer.created"
		if i%10 == 0 {
			kind = "payment_intent.amount_capturable_updated"
		}
		bodies[i] = webhookBody(p, orderID, kind, func(object map[string]any) {
			if i%10 != 0 {
				object["metadata"] = map[string]string{"order_id": fmt.Sprint(i)}
			}
		})
	}
	work, again := make(chan []byte), make(chan []byte, len(bodies))
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			for body := range work {
				switch got := f.postWebhook(body, sign(body, webhookSecret, time.Now())); got {
				case http.StatusOK:
				case http.StatusServiceUnavailable:
					again <- body
				default:
					t.Errorf("webhook: got HTTP %d, want 200 or 503", got)
				}
			}
		})
	}
	for _, body := range bodies {
		work <- body
	}
	close(work)
	group.Wait()
	if got, want := f.webhooksStored(), len(bodies)-len(again); got < want {
		t.Errorf("stored webhooks: got %d, want the %d that were answered 200", got, want)
	}
	close(again)
	for body := range again { // as Stripe does
		f.post(body)
	}
	if got := f.webhooksStored(); got != len(bodies) {
		t.Errorf("stored webhooks: got %d, want %d", got, len(bodies))
	}
	f.waitForStatus(orderID, StatusAuthorized)
	f.expectNoDeadLetters()
}
