package sandbox_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stripe/stripe-go/v76"
)

func TestManualCapturePaysAnIntent(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.create()
	if in.Status != stripe.PaymentIntentStatusRequiresPaymentMethod || in.Livemode || in.Currency != "gbp" || in.Metadata["order_id"] != "order-1" {
		t.Fatalf("created: got %+v, want requires_payment_method in test mode with the metadata", in)
	}
	if !strings.HasPrefix(in.ID, "pi_") || !strings.HasPrefix(in.ClientSecret, in.ID+"_secret_") {
		t.Fatalf("got id %s, client secret %s; want pi_… and <id>_secret_…", in.ID, in.ClientSecret)
	}
	if !strings.HasPrefix(in.LastResponse.RequestID, "req_") {
		t.Errorf("got request id %q, want req_…", in.LastResponse.RequestID)
	}
	in, err := s.confirm(in.ID, "pm_card_visa")
	if err != nil {
		t.Fatal(err)
	}
	if in.Status != stripe.PaymentIntentStatusRequiresCapture || in.AmountCapturable != 1250 || in.AmountReceived != 0 {
		t.Fatalf("confirmed: got status %s, capturable %d, received %d; want requires_capture, 1250, 0", in.Status, in.AmountCapturable, in.AmountReceived)
	}
	in, err = s.stripe.PaymentIntents.Capture(in.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if in.Status != stripe.PaymentIntentStatusSucceeded || in.AmountCapturable != 0 || in.AmountReceived != 1250 {
		t.Fatalf("captured: got status %s, capturable %d, received %d; want succeeded, 0, 1250", in.Status, in.AmountCapturable, in.AmountReceived)
	}
	ch, err := s.stripe.Charges.Get(in.LatestCharge.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !ch.Captured || !ch.Paid || ch.AmountCaptured != 1250 || ch.PaymentIntent.ID != in.ID || ch.PaymentMethodDetails.Card.Last4 != "4242" {
		t.Errorf("got charge %+v, want 1250 captured of the intent", ch)
	}
	want := []string{
		"payment_intent.created", "charge.succeeded", "payment_intent.amount_capturable_updated", "charge.captured", "payment_intent.succeeded",
	}
	if diff := cmp.Diff(want, s.eventTypes()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAutomaticCapturePaysInOneRequest(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.create(func(p *stripe.PaymentIntentParams) {
		p.CaptureMethod, p.Confirm, p.PaymentMethod = nil, stripe.Bool(true), stripe.String("pm_card_mastercard")
		p.AddExpand("latest_charge")
	})
	if in.Status != stripe.PaymentIntentStatusSucceeded || in.AmountReceived != 1250 {
		t.Fatalf("got status %s, received %d; want succeeded, 1250", in.Status, in.AmountReceived)
	}
	if in.LatestCharge.PaymentMethodDetails == nil || in.LatestCharge.PaymentMethodDetails.Card.Brand != "mastercard" {
		t.Errorf("got latest charge %+v, want it expanded", in.LatestCharge)
	}
	want := []string{"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}
	if diff := cmp.Diff(want, s.eventTypes()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestEventsHaveTheStateAfterTheChange(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.captured()
	var statuses []string
	events := s.stripe.Events.List(&stripe.EventListParams{Types: stripe.StringSlice([]string{"payment_intent.*"})})
	for events.Next() {
		statuses = append(statuses, events.Event().GetObjectValue("status"))
	}
	if err := events.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"succeeded", "requires_capture", "requires_payment_method"}, statuses); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
}

func TestPartialCaptureReleasesTheRest(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	id := s.authorized().ID
	_, err := s.stripe.PaymentIntents.Capture(id, &stripe.PaymentIntentCaptureParams{AmountToCapture: stripe.Int64(1251)})
	if e := stripeError(t, err); e.HTTPStatusCode != http.StatusBadRequest || e.Param != "amount_to_capture" {
		t.Errorf("capture of too much: got %+v, want 400 about amount_to_capture", e)
	}
	in, err := s.stripe.PaymentIntents.Capture(id, &stripe.PaymentIntentCaptureParams{AmountToCapture: stripe.Int64(1000)})
	if err != nil {
		t.Fatal(err)
	}
	if in.AmountReceived != 1000 || in.AmountCapturable != 0 || in.Amount != 1250 {
		t.Errorf("got amount %d, received %d, capturable %d; want 1250, 1000, 0", in.Amount, in.AmountReceived, in.AmountCapturable)
	}
}

func TestCancelIsAllowedUntilCapture(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(*testServer) string
		refused bool
		events  []string
	}{
		"Created":    {func(s *testServer) string { return s.create().ID }, false, []string{"payment_intent.canceled"}},
		"Authorized": {func(s *testServer) string { return s.authorized().ID }, false, []string{"charge.refunded", "payment_intent.canceled"}},
		"Captured":   {func(s *testServer) string { return s.captured().ID }, true, nil},
		"NeedsAction": {func(s *testServer) string {
			in, err := s.confirm(s.create().ID, "pm_card_threeDSecure2Required")
			if err != nil {
				s.t.Fatal(err)
			}
			return in.ID
		}, false, []string{"payment_intent.canceled"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t)
			id := test.prepare(s)
			before := len(s.eventTypes())
			in, err := s.stripe.PaymentIntents.Cancel(id, &stripe.PaymentIntentCancelParams{CancellationReason: stripe.String("abandoned")})
			if diff := cmp.Diff(test.events, s.eventTypes()[before:], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if test.refused {
				if e := stripeError(t, err); e.Code != stripe.ErrorCodePaymentIntentUnexpectedState || e.PaymentIntent.ID != id {
					t.Errorf("got error %+v, want payment_intent_unexpected_state", e)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if in.Status != stripe.PaymentIntentStatusCanceled || in.CancellationReason != "abandoned" || in.AmountCapturable != 0 || in.CanceledAt == 0 {
				t.Errorf("got %+v, want canceled as abandoned", in)
			}
			_, err = s.stripe.PaymentIntents.Cancel(id, nil)
			if e := stripeError(t, err); e.HTTPStatusCode != http.StatusBadRequest {
				t.Errorf("canceled twice: got %+v, want 400", e)
			}
		})
	}
}

func TestOperationsInWrongStatesAreRefused(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	open, done := s.create().ID, s.captured().ID
	_, captureOpen := s.stripe.PaymentIntents.Capture(open, nil)
	_, captureDone := s.stripe.PaymentIntents.Capture(done, nil)
	_, confirmDone := s.confirm(done, "pm_card_visa")
	_, confirmBare := s.stripe.PaymentIntents.Confirm(open, nil)
	_, changeDone := s.stripe.PaymentIntents.Update(done, &stripe.PaymentIntentParams{Amount: stripe.Int64(99)})
	for name, err := range map[string]error{
		"capture before it is authorized": captureOpen, "capture again": captureDone, "pay again": confirmDone,
		"confirm without a card": confirmBare, "change the amount when captured": changeDone,
	} {
		e := stripeError(t, err)
		if e.Code != stripe.ErrorCodePaymentIntentUnexpectedState || e.HTTPStatusCode != http.StatusBadRequest || e.PaymentIntent == nil {
			t.Errorf("%s: got %+v, want payment_intent_unexpected_state with the intent", name, e)
		}
	}
}

func TestCreationIsValidated(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	tests := map[string]struct {
		name, value string
		code, param string
	}{
		"NoAmount":         {"amount", "", "parameter_missing", "amount"},
		"NoCurrency":       {"currency", "", "parameter_missing", "currency"},
		"NegativeAmount":   {"amount", "-5", "parameter_invalid_integer", "amount"},
		"FractionalAmount": {"amount", "12.5", "parameter_invalid_integer", "amount"},
		"TinyAmount":       {"amount", "29", "amount_too_small", "amount"},
		"HugeAmount":       {"amount", "100000000", "amount_too_large", "amount"},
		"OddCurrency":      {"currency", "pounds", "", "currency"},
		"OddCapture":       {"capture_method", "later", "", "capture_method"},
		"UnknownParameter": {"ammount", "5", "parameter_unknown", "ammount"},
		"UnknownCard":      {"payment_method", "pm_card_gold", "resource_missing", "payment_method"},
		"OddReturn":        {"return_url", "javascript:alert(1)", "url_invalid", "return_url"},
		"NestedMetadata":   {"metadata[a][b]", "x", "", "metadata[a][b]"},
		"LongMetadata":     {"metadata[a]", strings.Repeat("x", 501), "", "metadata[a]"},
		"UnknownExpansion": {"expand[0]", "customers", "", "expand"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := newIntentForm()
			form.Set(test.name, test.value)
			key, value := bearer(secretKey)
			got := s.mustSend(http.MethodPost, "/v1/payment_intents", form, key, value)
			var envelope struct {
				Error struct{ Type, Code, Param, Message string }
			}
			got.decode(t, &envelope)
			e := envelope.Error
			if got.status/100 != 4 || e.Type != "invalid_request_error" || e.Code != test.code || e.Param != test.param || e.Message == "" {
				t.Errorf("got status %d, error %+v; want 4xx %s about %s", got.status, e, test.code, test.param)
			}
		})
	}
}

func TestUpdateMergesMetadata(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	id := s.create().ID
	in, err := s.stripe.PaymentIntents.Update(id, &stripe.PaymentIntentParams{
		Amount: stripe.Int64(2000), Metadata: map[string]string{"order_id": "", "basket": "b-7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"basket": "b-7"}, in.Metadata); diff != "" || in.Amount != 2000 {
		t.Errorf("got amount %d, want 2000; metadata (-want +got):\n%s", in.Amount, diff)
	}
}

func TestListPagesBothWays(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	var ids []string // newest first
	for range 5 {
		s.clock.advance(1e9)
		ids = append([]string{s.create().ID}, ids...)
	}
	start := s.clock.Now().Unix() - 4
	tests := map[string]struct {
		params stripe.PaymentIntentListParams
		want   []string
		more   bool
	}{
		"First":   {stripe.PaymentIntentListParams{ListParams: stripe.ListParams{Limit: stripe.Int64(2)}}, ids[:2], true},
		"After":   {stripe.PaymentIntentListParams{ListParams: stripe.ListParams{Limit: stripe.Int64(3), StartingAfter: &ids[1]}}, ids[2:], false},
		"Before":  {stripe.PaymentIntentListParams{ListParams: stripe.ListParams{Limit: stripe.Int64(2), EndingBefore: &ids[4]}}, ids[2:4], true},
		"Newest":  {stripe.PaymentIntentListParams{ListParams: stripe.ListParams{EndingBefore: &ids[2]}}, ids[:2], false},
		"Since":   {stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: start + 3}}, ids[:2], false},
		"Between": {stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThan: start, LesserThan: start + 3}}, ids[2:4], false},
		"Exactly": {stripe.PaymentIntentListParams{Created: stripe.Int64(start)}, ids[4:], false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			list := s.stripe.PaymentIntents.List(&test.params).PaymentIntentList()
			var got []string
			for _, in := range list.Data {
				got = append(got, in.ID)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || list.HasMore != test.more {
				t.Errorf("got has_more %v, want %v; page (-want +got):\n%s", list.HasMore, test.more, diff)
			}
		})
	}
}

func TestSearchFindsIntentsByMetadata(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	named := func(order string) string {
		return s.create(func(p *stripe.PaymentIntentParams) { p.Metadata = map[string]string{"order_id": order} }).ID
	}
	a, b := named("A"), named(`it's "B"`)
	again := named("A")
	moved := named("A")
	if _, err := s.stripe.PaymentIntents.Update(moved, &stripe.PaymentIntentParams{Metadata: map[string]string{"order_id": "C"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.stripe.PaymentIntents.Cancel(again, nil); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		query string
		want  []string
	}{
		"Found":        {`metadata['order_id']:'A'`, []string{again, a}},
		"DoubleQuotes": {`metadata["order_id"]:"A"`, []string{again, a}},
		"Escaped":      {`metadata['order_id']:'it\'s "B"'`, []string{b}},
		"Changed":      {`metadata['order_id']:'C'`, []string{moved}},
		"And":          {`metadata['order_id']:'A' AND status:'canceled'`, []string{again}},
		"Currency":     {`currency:'GBP' AND metadata['order_id']:'C'`, []string{moved}},
		"Nothing":      {`metadata['order_id']:'Z'`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := s.stripe.PaymentIntents.Search(&stripe.PaymentIntentSearchParams{
				SearchParams: stripe.SearchParams{Query: test.query, Limit: stripe.Int64(1)},
			})
			var got []string
			for found.Next() {
				got = append(got, found.PaymentIntent().ID)
			}
			if err := found.Err(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
	for _, query := range []string{"", "order_id:'A'", "status:'canceled'", "metadata:'A'", "metadata['order_id']:'A' OR status:'canceled'"} {
		found := s.stripe.PaymentIntents.Search(&stripe.PaymentIntentSearchParams{SearchParams: stripe.SearchParams{Query: query}})
		for found.Next() {
			t.Errorf("query %q: got %s, want nothing", query, found.PaymentIntent().ID)
		}
		if e := stripeError(t, found.Err()); e.HTTPStatusCode != http.StatusBadRequest {
			t.Errorf("query %q: got %+v, want 400", query, e)
		}
	}
}
