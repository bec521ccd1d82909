package payments

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"tillstream/events"
)

// undecided is a Stripe that is away at the first cancellation, and at the second refuses: the shopper's bank is answering
// just then.
type undecided struct {
	Gateway
	calls    atomic.Int32
	answered func() // the bank has answered
}

func (g *undecided) Cancel(ctx context.Context, p Payment) (Intent, error) {
	switch g.calls.Add(1) {
	case 1:
		return Intent{}, errLost
	case 2:
		g.answered()
		return Intent{}, &GatewayError{Kind: ErrPermanent, Status: http.StatusBadRequest, Code: "payment_intent_unexpected_state"}
	}
	return g.Gateway.Cancel(ctx, p)
}

// A first refusal is no reason to call staff, whatever went wrong before it: left as it is the money stays blocked on the
// card of a shopper who has called the order off.
func TestRefusedOnceAfterOtherTroubleIsAskedAgain(t *testing.T) {
	t.Parallel()
	bridge := &undecided{}
	w := newWorld(t, setup{deaf: true, gateway: func(g Gateway) Gateway { bridge.Gateway = g; return bridge }})
	orderID, p := w.place(1250)
	bridge.answered = func() { w.pay(p, "pm_card_visa") }
	w.say(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	w.until("it is cancelled or a dead letter", func() bool { return w.payment(orderID).CancelledIntent || len(w.deadLetters()) > 0 })
	w.noDeadLetters()
	w.cancelledAtStripe(p.PaymentIntent)
}

// stubborn is a Stripe that refuses every cancellation of an intent that has not ended.
type stubborn struct {
	Gateway
	calls atomic.Int32
}

func (g *stubborn) Cancel(context.Context, Payment) (Intent, error) {
	g.calls.Add(1)
	return Intent{}, &GatewayError{Kind: ErrPermanent, Status: http.StatusBadRequest, Code: "payment_intent_unexpected_state"}
}

// What is refused twice is for staff.
func TestRefusedTwiceIsParked(t *testing.T) {
	t.Parallel()
	bridge := &stubborn{}
	w := newWorld(t, setup{deaf: true, gateway: func(g Gateway) Gateway { bridge.Gateway = g; return bridge }})
	orderID, _ := w.place(1250)
	w.say(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	w.until("it is a dead letter", func() bool { return len(w.deadLetters()) > 0 })
	if n := bridge.calls.Load(); n != 2 {
		t.Errorf("a dead letter after %d refusals, want 2", n)
	}
}
