package payments

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// The facts that every status of an intent adds to a payment in every state.
func TestRecordIntentInEveryState(t *testing.T) {
	t.Parallel()
	method, action, processing := IntentRequiresPaymentMethod, IntentRequiresAction, IntentProcessing
	capturable, succeeded, canceled := IntentRequiresCapture, IntentSucceeded, IntentCanceled
	want := map[string]map[IntentStatus]string{ // "declined" stands for method with an error
		"requested": {method: "intent_created", "declined": "intent_created declined", action: "intent_created action_required", processing: "intent_created processing",
			capturable: "intent_created authorized", succeeded: "intent_created captured", canceled: "intent_created cancelled"},
		"intent":          {"declined": "declined", action: "action_required", processing: "processing", capturable: "authorized", succeeded: "captured", canceled: "cancelled"},
		"action":          {"declined": "declined", processing: "processing", capturable: "authorized", succeeded: "captured", canceled: "cancelled"},
		"processing":      {"declined": "declined", action: "action_required", capturable: "authorized", succeeded: "captured", canceled: "cancelled"},
		"declined":        {action: "action_required", processing: "processing", capturable: "authorized", succeeded: "captured", canceled: "cancelled"},
		"authorized":      {"declined": "declined", succeeded: "captured", canceled: "cancelled"},
		"captured":        {"declined": "declined"},
		"cancelRequested": {"declined": "declined", action: "action_required", processing: "processing", capturable: "authorized", succeeded: "captured", canceled: "cancelled"},
		"forceRequested":  {"declined": "declined", action: "action_required", processing: "processing", capturable: "authorized", succeeded: "captured refund_requested", canceled: "cancelled"},
		"cancelled":       {"declined": "declined", succeeded: "captured refund_requested"},
		"cancelledBefore": {method: "intent_created cancel_requested", "declined": "intent_created cancel_requested declined", action: "intent_created cancel_requested",
			processing: "intent_created cancel_requested", capturable: "intent_created cancel_requested", succeeded: "intent_created cancel_requested captured refund_requested", canceled: "intent_created cancelled"},
		"failed": {method: "intent_created cancel_requested", "declined": "intent_created cancel_requested declined", action: "intent_created cancel_requested",
			processing: "intent_created cancel_requested", capturable: "intent_created cancel_requested authorized", succeeded: "intent_created cancel_requested captured refund_requested", canceled: "intent_created cancelled"},
		"refundPending": {"declined": "declined"},
		"refunded":      {"declined": "declined"},
	}
	for name, history := range histories {
		p := fold(t, history...)
		for _, status := range []IntentStatus{method, "declined", action, processing, capturable, succeeded, canceled} {
			in := snapshot(status)
			if status == "declined" {
				in = snapshotDeclined()
			}
			facts, err := RecordIntent(p, in, false)
			if name == "none" {
				if !errors.Is(err, ErrUnmatched) {
					t.Errorf("%s in none: got %v, want ErrUnmatched", status, err)
				}
				continue
			}
			if err != nil || types(facts) != want[name][status] {
				t.Errorf("%s in %s: got %q, %v; want %q", status, name, types(facts), err, want[name][status])
			}
			after, err := foldOn(p, facts...)
			if err != nil {
				t.Fatal(err)
			}
			again, err := RecordIntent(after, in, false)
			if err != nil || len(again) != 0 {
				t.Errorf("%s in %s, recorded twice: got %q, %v; want no facts", status, name, types(again), err)
			}
		}
	}
}

// The facts that every event of an order adds to a payment in every state.
func TestOrderEventsInEveryState(t *testing.T) {
	t.Parallel()
	want := map[string]struct {
		request, expire, cancel string
		accept                  bool
	}{
		"none":            {request: "requested"},
		"requested":       {accept: true, expire: "cancel_requested cancelled", cancel: "cancel_requested cancelled"},
		"intent":          {accept: true, expire: "cancel_requested", cancel: "cancel_requested"},
		"action":          {accept: true, expire: "cancel_requested", cancel: "cancel_requested"},
		"processing":      {accept: true, expire: "cancel_requested", cancel: "cancel_requested"},
		"declined":        {accept: true, expire: "cancel_requested", cancel: "cancel_requested"},
		"authorized":      {accept: true, expire: "cancel_requested", cancel: "cancel_requested"},
		"captured":        {cancel: "cancel_requested refund_requested"},
		"cancelRequested": {accept: true, cancel: "cancel_requested"},
		"forceRequested":  {},
		"cancelled":       {},
		"cancelledBefore": {},
		"failed":          {},
		"refundPending":   {},
		"refunded":        {cancel: "cancel_requested"},
	}
	for name, history := range histories {
		p := fold(t, history...)
		check := func(what, want string, facts []events.Payload, err error) {
			t.Helper()
			if err != nil || types(facts) != want {
				t.Errorf("%s in %s: got %q, %v; want %q", what, name, types(facts), err, want)
			}
		}
		facts, err := Request(p, awaiting, Terms{})
		check("request", want[name].request, facts, err)
		facts, err = Cancel(p, false, "orders.expired")
		check("expire", want[name].expire, facts, err)
		facts, err = Cancel(p, true, "orders.cancelled")
		check("cancel", want[name].cancel, facts, err)
		wanted, err := ShouldCapture(p, gbp1250)
		if name == "none" {
			if !errors.Is(err, ErrUnmatched) {
				t.Errorf("accept in none: got %v, want ErrUnmatched", err)
			}
			continue
		}
		if err != nil || wanted != want[name].accept {
			t.Errorf("accept in %s: got %t, %v; want %t", name, wanted, err, want[name].accept)
		}
	}
}

// An intent of Stripe's whose amount, currency or mode is not the payment's is refused.
//
// API10 of the OWASP API Top 10.
func TestMismatchedIntentIsRefused(t *testing.T) {
	t.Parallel()
	change := func(f func(*Intent)) Intent {
		in := snapshot(IntentRequiresCapture)
		f(&in)
		return in
	}
	for name, tc := range map[string]struct {
		in   Intent
		want error
	}{
		"Amount":         {change(func(in *Intent) { in.Amount.Amount = 1 }), ErrMismatch},
		"Currency":       {change(func(in *Intent) { in.Amount.Currency = "USD" }), ErrMismatch},
		"Livemode":       {change(func(in *Intent) { in.Livemode = true }), ErrMismatch},
		"Capturable":     {change(func(in *Intent) { in.Capturable = 1249 }), ErrMismatch},
		"Received":       {change(func(in *Intent) { in.Status, in.Received = IntentSucceeded, 1249 }), ErrMismatch},
		"Order":          {change(func(in *Intent) { in.OrderID = "another" }), ErrUnmatched},
		"SecondIntent":   {change(func(in *Intent) { in.ID = "pi_2" }), ErrUnmatched},
		"UnknownStatus":  {change(func(in *Intent) { in.Status = "requires_magic" }), ErrUnknownStatus},
		"WithoutAStatus": {change(func(in *Intent) { in.Status = "" }), ErrUnknownStatus},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if facts, err := RecordIntent(fold(t, histories["intent"]...), tc.in, false); !errors.Is(err, tc.want) || len(facts) != 0 {
				t.Errorf("got %q, %v; want %v", types(facts), err, tc.want)
			}
		})
	}
	p := fold(t, histories["authorized"]...)
	if _, err := ShouldCapture(p, events.Money{Amount: 1251, Currency: "GBP"}); !errors.Is(err, ErrMismatch) {
		t.Errorf("capture of another amount: got %v, want ErrMismatch", err)
	}
	other := awaiting
	other.Amount.Amount++
	if _, err := Request(p, other, Terms{}); !errors.Is(err, ErrMismatch) {
		t.Errorf("request of another amount: got %v, want ErrMismatch", err)
	}
	for _, amount := range []events.Money{{}, {Amount: -5, Currency: "GBP"}, {Amount: 5, Currency: "pounds"}} {
		other.Amount = amount
		if _, err := Request(Payment{}, other, Terms{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("request of %v: got %v, want ErrInvalid", amount, err)
		}
	}
}

func TestRefundsNeverExceedTheCapture(t *testing.T) {
	t.Parallel()
	money := func(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }
	p := fold(t, append(histories["captured"], events.PaymentRefundRequested{OrderID: order, PaymentID: payment, RefundID: "r1", Amount: money(1000)})...)
	for name, tc := range map[string]struct {
		id     string
		amount events.Money
		facts  string
		want   error
	}{
		"Rest":          {"r2", money(250), "refund_requested", nil},
		"TooMuch":       {"r2", money(251), "", ErrRefundTooLarge},
		"Nothing":       {"r2", money(0), "", ErrRefundTooLarge},
		"Negative":      {"r2", money(-1), "", ErrRefundTooLarge},
		"OtherCurrency": {"r2", events.Money{Amount: 1, Currency: "USD"}, "", ErrRefundTooLarge},
		"Again":         {"r1", money(1000), "", nil},
		"AgainOther":    {"r1", money(1), "", ErrRefundConflict},
		"BadID":         {"r.*", money(1), "", events.ErrBadID},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, err := RequestRefund(p, tc.id, tc.amount, "returned")
			if !errors.Is(err, tc.want) || types(facts) != tc.facts {
				t.Errorf("got %q, %v; want %q, %v", types(facts), err, tc.facts, tc.want)
			}
		})
	}
	if _, err := RequestRefund(fold(t, histories["authorized"]...), "r1", money(1), ""); !errors.Is(err, ErrRefundTooLarge) {
		t.Errorf("refund without a capture: got %v, want ErrRefundTooLarge", err)
	}
}

// A refund by the shop or in Stripe's dashboard, in every status.
func TestReportedRefundIsRecorded(t *testing.T) {
	t.Parallel()
	captured := fold(t, histories["captured"]...)
	requested := fold(t, append(histories["captured"], events.PaymentRefundRequested{OrderID: order, PaymentID: payment, RefundID: "r1", Amount: gbp1250})...)
	re := func(id string, status RefundStatus, amount int64) StripeRefund {
		return StripeRefund{ID: "re_9", RefundID: id, Amount: events.Money{Amount: amount, Currency: "GBP"}, Status: status}
	}
	for name, tc := range map[string]struct {
		p        Payment
		reported []StripeRefund
		facts    string
		status   Status
		want     error
	}{
		"Succeeds":          {requested, []StripeRefund{re("r1", RefundSucceeded, 1250)}, "refunded", StatusRefunded, nil},
		"Pending":           {requested, []StripeRefund{re("r1", RefundPending, 1250), re("r1", RefundRequiresAction, 1250)}, "refund_pending", StatusCaptured, nil},
		"NeedsTheShopper":   {requested, []StripeRefund{re("r1", RefundRequiresAction, 1250), re("r1", RefundSucceeded, 1250)}, "refund_pending refunded", StatusRefunded, nil},
		"PendingAfterwards": {requested, []StripeRefund{re("r1", RefundSucceeded, 1250), re("r1", RefundPending, 1250)}, "refunded", StatusRefunded, nil},
		"Fails":             {requested, []StripeRefund{re("r1", RefundFailed, 1250)}, "refund_failed", StatusCaptured, nil},
		"SucceedsThenFails": {requested, []StripeRefund{re("r1", RefundSucceeded, 1250), re("r1", RefundFailed, 1250)}, "refunded refund_failed", StatusCaptured, nil},
		"FailsThenSucceeds": {requested, []StripeRefund{re("r1", RefundFailed, 1250), re("r1", RefundSucceeded, 1250)}, "refund_failed", StatusCaptured, nil},
		"PartlyByDashboard": {captured, []StripeRefund{re("", RefundSucceeded, 50), re("", RefundSucceeded, 50)}, "refunded", StatusPartlyRefunded, nil},
		"AnotherAmount":     {requested, []StripeRefund{re("r1", RefundSucceeded, 1)}, "", StatusCaptured, ErrMismatch},
		"MoreThanCaptured":  {captured, []StripeRefund{re("", RefundSucceeded, 1251)}, "", StatusCaptured, ErrRefundTooLarge},
		"UnknownStatus":     {captured, []StripeRefund{re("", "lost", 1)}, "", StatusCaptured, ErrUnknownStatus},
		"NeverCaptured":     {fold(t, histories["cancelled"]...), []StripeRefund{re("", RefundSucceeded, 1250)}, "", StatusCancelled, nil},
		"Canceled":          {requested, []StripeRefund{re("r1", RefundCanceled, 1250)}, "refund_failed", StatusCaptured, nil},
		"DashboardFirst":    {requested, []StripeRefund{re("", RefundSucceeded, 1250)}, "refunded", StatusRefunded, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, all := tc.p, []events.Payload(nil)
			var refused error
			for _, r := range tc.reported {
				facts, err := RecordRefund(p, r)
				if err != nil {
					refused = err
				}
				if p, err = foldOn(p, facts...); err != nil {
					t.Fatal(err)
				}
				all = append(all, facts...)
			}
			if !errors.Is(refused, tc.want) || types(all) != tc.facts || p.Status() != tc.status {
				t.Errorf("got %q, %s, %v; want %q, %s, %v", types(all), p.Status(), refused, tc.facts, tc.status, tc.want)
			}
		})
	}
}

func TestStatusOfEveryState(t *testing.T) {
	t.Parallel()
	want := map[string]Status{
		"none": "", "requested": StatusRequested, "intent": StatusIntentCreated, "action": StatusRequiresAction,
		"processing": StatusProcessing, "declined": StatusIntentCreated, "authorized": StatusAuthorized,
		"captured": StatusCaptured, "cancelRequested": StatusIntentCreated,
		"forceRequested": StatusIntentCreated, "cancelled": StatusCancelled, "cancelledBefore": StatusCancelled,
		"failed": StatusFailed, "refundPending": StatusCaptured, "refunded": StatusRefunded,
	}
	got := map[string]Status{}
	for name, history := range histories {
		got[name] = fold(t, history...).Status()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want-, got+:\n%s", diff)
	}
}

func TestApplyRefusesEventsOfOtherDomains(t *testing.T) {
	t.Parallel()
	if _, err := (Payment{}).Apply(events.Event{Type: "orders.placed", Payload: events.OrderPlaced{}}); err == nil {
		t.Error("Apply of orders.placed: got no error, want one")
	}
}

// Row 72 of the fault matrix: the decline that reaches the limit requests the cancellation, once, and never of a payment that has
// ended.
func TestLimitDeclines(t *testing.T) {
	t.Parallel()
	decline := func(fact string) events.Payload { return events.PaymentDeclined{Fact: fact} }
	for name, tc := range map[string]struct {
		history []events.Payload
		facts   []events.Payload
		limit   int
		want    string
	}{
		"BelowTheLimit": {[]events.Payload{decline("a")}, []events.Payload{decline("b")}, 3, "declined"},
		"AtTheLimit":    {[]events.Payload{decline("a")}, []events.Payload{decline("b")}, 2, "declined cancel_requested"},
		"LimitLowered":  {[]events.Payload{decline("a"), decline("b")}, []events.Payload{decline("c")}, 1, "declined cancel_requested"},
		"Requested":     {[]events.Payload{decline("a"), factForce}, []events.Payload{decline("b")}, 2, "declined"},
		"Authorized":    {[]events.Payload{decline("a"), factAuthorized}, []events.Payload{decline("b")}, 2, "declined"},
		"NoDecline":     {[]events.Payload{decline("a"), decline("b")}, []events.Payload{events.PaymentProcessing{}}, 2, "processing"},
	} {
		p := fold(t, append([]events.Payload{factRequested, factIntent}, tc.history...)...)
		if got := types(LimitDeclines(p, tc.facts, tc.limit)); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
