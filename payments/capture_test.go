package payments

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tillstream/events"
)

var atFulfilment = Terms{Capture: events.CaptureAtFulfilment}

func pence(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }

// partly returns an intent of which a part is captured, and more can be, if it is not in a final status.
func partly(status IntentStatus, received int64) Intent {
	in := snapshot(status)
	if in.Charge, in.Received, in.Capturable = "ch_1", received, 0; status == IntentRequiresCapture {
		in.Capturable = in.Amount.Amount - received
	}
	return in
}

// drawParts draws the life of an intent that is captured in parts, as a list of reports.
func drawParts(t *rapid.T) []report {
	reports := []report{{intent: snapshot(IntentRequiresAction)}, {intent: partly(IntentRequiresCapture, 0)}}
	received := int64(0)
	for range rapid.IntRange(0, 3).Draw(t, "parts") {
		received += rapid.Int64Range(1, 300).Draw(t, "amount")
		reports = append(reports, report{intent: partly(IntentRequiresCapture, received)})
	}
	if received == 0 {
		expired := snapshot(IntentCanceled)
		expired.Cancellation = cancelledByStripe
		return append(reports, report{intent: expired})
	}
	end := rapid.SampledFrom([]IntentStatus{IntentSucceeded, IntentCanceled}).Draw(t, "end")
	return append(reports, report{intent: partly(end, received)})
}

// Rows 40 and 42 of the fault matrix, when money is captured at fulfilment: Stripe's reports arrive in any order and repeatedly, and the
// payment ends in the same state, with what was captured.
func TestAnyOrderOfPartsEndsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		reports := drawParts(t)
		shuffled := append(rapid.Permutation(reports).Draw(t, "order of arrival"), rapid.SliceOfN(rapid.SampledFrom(reports), 0, 5).Draw(t, "again")...)
		start := decideAndApply(t, Payment{}, func(p Payment) ([]events.Payload, error) { return Request(p, awaiting, atFulfilment) })
		inOrder, outOfOrder := applyReports(t, start, reports), applyReports(t, start, shuffled)
		if inOrder.Captured.Amount > 1 {
			if late := captured(inOrder, partly(IntentRequiresCapture, inOrder.Captured.Amount-1)); late != nil {
				t.Fatalf("an older report of less: got %v, want no event", late)
			}
		}
		if diff := cmp.Diff(inOrder, outOfOrder); diff != "" {
			t.Fatalf("in order -, shuffled +:\n%s", diff)
		}
		last := reports[len(reports)-1].intent
		if inOrder.Captured.Amount != last.Received || inOrder.CaptureMore || inOrder.Open() {
			t.Fatalf("got %s, captured %s, more %t; want %d captured and an end", inOrder.Status(), inOrder.Captured, inOrder.CaptureMore, last.Received)
		}
	})
}

// Whoever handles parcels late, repeatedly or after a crash captures what is due, and never more.
func TestAnyHandlingOfParcelsCapturesWhatIsDue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parcels, multicapture := drawParcels(t), rapid.Bool().Draw(t, "multicapture")
		p := mustFold(t, requestedAtFulfilment(), factIntent, events.PaymentAuthorized{OrderID: order, PaymentID: payment, PaymentIntent: intent, Amount: gbp1250,
			Capture: events.CaptureAtFulfilment, Multicapture: multicapture})
		stripe := partly(IntentRequiresCapture, 0)
		handle := func(r events.OrderFulfilmentCreated) {
			part, wanted, err := PartFor(p, r)
			if errors.Is(err, ErrEarlierPart) || err == nil && !wanted {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			received := stripe.Received + part.Amount.Amount
			if stripe = partly(IntentRequiresCapture, received); !part.More {
				stripe = partly(IntentSucceeded, received)
			}
			p = decideAndApply(t, p, func(p Payment) ([]events.Payload, error) { return RecordIntent(p, stripe, false) })
		}
		for range 3 * len(parcels) {
			handle(rapid.SampledFrom(parcels).Draw(t, "parcel"))
		}
		for _, r := range parcels {
			handle(r)
		}
		last := parcels[len(parcels)-1]
		want := gbp1250.Amount - last.Released.Amount
		if p.Captured.Amount != want || p.CaptureMore {
			t.Fatalf("captured: got %s, more %t; want %d and no more", p.Captured, p.CaptureMore, want)
		}
	})
}

func mustFold(t *rapid.T, facts ...events.Payload) Payment {
	p, err := foldOn(Payment{}, facts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func requestedAtFulfilment() events.PaymentRequested {
	requested := factRequested
	requested.Capture = events.CaptureAtFulfilment
	return requested
}

// drawParcels draws the parcels of an order of 12.50. With the last one the rest may be released; then no parcel is before it, unless
// the authorization is captured in parts.
func drawParcels(t *rapid.T) (parcels []events.OrderFulfilmentCreated) {
	left := gbp1250.Amount
	for i := range rapid.IntRange(1, 3).Draw(t, "parcels") {
		amount := rapid.Int64Range(1, left/2).Draw(t, "amount")
		left -= amount
		parcels = append(parcels, events.OrderFulfilmentCreated{FulfilmentID: string(rune('a' + i)), Amount: pence(amount), Due: pence(gbp1250.Amount - left)})
	}
	last := &parcels[len(parcels)-1]
	if last.Final = true; len(parcels) == 1 {
		last.Released = pence(left)
		return parcels
	}
	last.Amount, last.Due = pence(last.Amount.Amount+left), gbp1250
	return parcels
}

// The part that a parcel captures, in every state that a payment can be in.
func TestPartOfAParcel(t *testing.T) {
	t.Parallel()
	authorized := events.PaymentAuthorized{Amount: gbp1250, Capture: events.CaptureAtFulfilment, ExpiresAt: noon, Multicapture: true}
	single := authorized
	single.Multicapture = false
	first := events.OrderFulfilmentCreated{FulfilmentID: "f1", Amount: pence(400), Due: pence(400)}
	second := events.OrderFulfilmentCreated{FulfilmentID: "f2", Amount: pence(250), Due: pence(650)}
	final := events.OrderFulfilmentCreated{FulfilmentID: "f2", Amount: pence(250), Due: pence(650), Final: true, Released: pence(600)}
	free := events.OrderFulfilmentCreated{FulfilmentID: "f2", Due: pence(400), Final: true, Released: pence(850)}
	part, ended := events.PaymentCaptured{Amount: pence(400), More: true}, events.PaymentCaptured{Amount: pence(400)}
	for name, c := range map[string]struct {
		facts  []events.Payload
		parcel events.OrderFulfilmentCreated
		want   Part
		wanted bool
		err    error
	}{
		"first":                   {[]events.Payload{authorized}, first, Part{Key: "f1", Amount: pence(400), More: true}, true, nil},
		"second before the first": {[]events.Payload{authorized}, second, Part{}, false, ErrEarlierPart},
		"second":                  {[]events.Payload{authorized, part}, second, Part{Key: "f2", Amount: pence(250), More: true}, true, nil},
		"final":                   {[]events.Payload{authorized, part}, final, Part{Key: "f2", Amount: pence(250)}, true, nil},
		"final, costs nothing":    {[]events.Payload{authorized, part}, free, Part{Key: "f2", Amount: pence(0)}, true, nil},
		"captured":                {[]events.Payload{authorized, part}, first, Part{}, false, nil},
		"single":                  {[]events.Payload{single}, first, Part{Key: "v1", Amount: gbp1250}, true, nil},
		"single, final":           {[]events.Payload{single}, final, Part{Key: "v1", Amount: pence(650)}, true, nil},
		"single, captured":        {[]events.Payload{single, events.PaymentCaptured{Amount: gbp1250}}, second, Part{}, false, nil},
		"cancelled":               {[]events.Payload{authorized, factCancelled}, first, Part{}, false, ErrAuthorizationGone},
		"ended":                   {[]events.Payload{authorized, ended}, second, Part{}, false, ErrAuthorizationGone},
		"voided":                  {[]events.Payload{authorized, factForce}, first, Part{}, false, ErrAuthorizationGone},
	} {
		p := fold(t, append([]events.Payload{requestedAtFulfilment(), factIntent}, c.facts...)...)
		got, wanted, err := PartFor(p, c.parcel)
		if diff := cmp.Diff(c.want, got); diff != "" || wanted != c.wanted || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: got wanted %t, %v; want %t, %v; part, want-, got+:\n%s", name, wanted, err, c.wanted, c.err, diff)
		}
	}
	if _, wanted, err := PartFor(fold(t, histories["captured"]...), first); wanted || err != nil {
		t.Errorf("captured at confirmation: got wanted %t, %v; want nothing to capture", wanted, err)
	}
}

// An authorization that Stripe has released is the reason of the cancellation, but not if the shop cancelled the payment.
func TestExpiryIsTheReasonOfTheCancellation(t *testing.T) {
	t.Parallel()
	expired := snapshot(IntentCanceled)
	expired.Cancellation = cancelledByStripe
	for name, c := range map[string]struct {
		facts []events.Payload
		want  string
	}{
		"expired":   {[]events.Payload{factRequested, factIntent, factAuthorized}, events.CancelAuthorizationExpired},
		"cancelled": {[]events.Payload{factRequested, factIntent, factAuthorized, factForce}, cancelledByStripe},
	} {
		facts, err := RecordIntent(fold(t, c.facts...), expired, false)
		if err != nil || len(facts) != 1 || facts[0].(events.PaymentCancelled).Reason != c.want {
			t.Errorf("%s: got %v, %v; want one cancellation because of %s", name, facts, err, c.want)
		}
	}
}

// Only with captures at fulfilment may less be captured than was requested.
func TestPartsOfOtherPaymentsAreRefused(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]Intent{"a part": partly(IntentSucceeded, 400), "a part, more follows": partly(IntentRequiresCapture, 400), "canceled after a part": partly(IntentCanceled, 400)} {
		if _, err := RecordIntent(fold(t, histories["authorized"]...), in, false); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: got %v, want ErrMismatch", name, err)
		}
		p := fold(t, requestedAtFulfilment(), factIntent)
		if facts, err := RecordIntent(p, in, false); err != nil || len(facts) == 0 {
			t.Errorf("%s, captured at fulfilment: got %v, %v; want facts", name, facts, err)
		}
		in.Received = 1251
		if _, err := RecordIntent(p, in, false); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s, more than requested: got %v, want ErrMismatch", name, err)
		}
	}
}
