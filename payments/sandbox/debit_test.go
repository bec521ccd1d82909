package sandbox_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"
)

// inEuro makes an intent for cards, captured manually, and SEPA Direct Debit, which is captured by itself.
func inEuro(p *stripe.PaymentIntentParams) {
	perCard(p)
	p.Currency = stripe.String("eur")
	p.AutomaticPaymentMethods = nil
	p.PaymentMethodTypes = []*string{stripe.String("card"), stripe.String("sepa_debit")}
}

func (s *testServer) debit(id, iban string) (*stripe.PaymentIntent, error) {
	return s.stripe.PaymentIntents.Confirm(id, &stripe.PaymentIntentConfirmParams{PaymentMethodData: &stripe.PaymentIntentPaymentMethodDataParams{
		Type: stripe.String("sepa_debit"), SEPADebit: &stripe.PaymentMethodSEPADebitParams{IBAN: stripe.String(iban)},
		BillingDetails: &stripe.PaymentIntentPaymentMethodDataBillingDetailsParams{Name: stripe.String("Ann Lee"), Email: stripe.String("ann@example.com")},
	}})
}

func TestDirectDebits(t *testing.T) {
	t.Parallel()
	three := 3 * time.Minute
	paid := []string{"payment_intent.created", "charge.pending", "payment_intent.processing", "charge.succeeded", "payment_intent.succeeded"}
	failed := []string{"payment_intent.created", "charge.pending", "payment_intent.processing", "charge.failed", "payment_intent.payment_failed"}
	tests := map[string]struct {
		iban   string
		after  time.Duration
		status stripe.PaymentIntentStatus
		code   stripe.ErrorCode
		events []string
	}{
		"Paid":        {"DE89 3704 0044 0532 0130 00", 0, "succeeded", "", paid},
		"PaidLater":   {"AT321904300235473204", three, "succeeded", "", paid},
		"Failed":      {"FR8420041010050500013M02607", 0, "requires_payment_method", "payment_intent_payment_attempt_failed", failed},
		"FailedLater": {"DE78370400440532013004", three, "requires_payment_method", "payment_intent_payment_attempt_failed", failed},
		"Disputed": {"DE35370400440532013002", 0, "succeeded", "", append(paid[:len(paid):len(paid)],
			"charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, inDir(t.TempDir()))
			in, err := s.debit(s.create(inEuro).ID, test.iban)
			if err != nil || in.Status != stripe.PaymentIntentStatusProcessing {
				t.Fatalf("at first: got %+v, %v; want processing", in, err)
			}
			if test.after > 0 {
				s.advance(test.after - time.Second)
				s.restart()
				if got := s.get(in.ID); got.Status != stripe.PaymentIntentStatusProcessing {
					t.Errorf("a second before: got %s, want processing", got.Status)
				}
				s.advance(time.Second)
			}
			got := s.get(in.ID)
			code := stripe.ErrorCode("")
			if got.LastPaymentError != nil {
				code = got.LastPaymentError.Code
			}
			if got.Status != test.status || code != test.code {
				t.Errorf("in the end: got %s, %s; want %s, %s", got.Status, code, test.status, test.code)
			}
			if diff := cmp.Diff(test.events, s.eventTypes()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDirectDebitIsShownWithoutTheIBAN(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in, err := s.debit(s.create(inEuro).ID, "DE89370400440532013000")
	if err != nil {
		t.Fatal(err)
	}
	ch, err := s.stripe.Charges.Get(in.LatestCharge.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	account := ch.PaymentMethodDetails.SEPADebit
	if account == nil || account.Last4 != "3000" || account.BankCode != "37040044" || account.Country != "DE" || account.Mandate == "" || ch.PaymentMethodDetails.Card != nil {
		t.Errorf("got %+v, want the account's bank and last digits", account)
	}
	if booked := s.booked(&stripe.BalanceTransactionListParams{}); len(booked) != 1 || booked[0].Type != "payment" {
		t.Errorf("got %+v, want a payment", movements(booked))
	}
	if re, err := s.refund(in.ID, 100); err != nil || re.Status != stripe.RefundStatusSucceeded {
		t.Errorf("refund: got %+v, %v; want it succeeded", re, err)
	}
}

func TestDirectDebitIsRefused(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	card := s.create(func(p *stripe.PaymentIntentParams) { inEuro(p); p.PaymentMethodTypes = p.PaymentMethodTypes[:1] })
	both := s.create(inEuro)
	tests := map[string]struct {
		id, iban string
		code     stripe.ErrorCode
	}{
		"NotAccepted":    {card.ID, "DE89370400440532013000", "payment_intent_incompatible_payment_method"},
		"CheckDigits":    {both.ID, "DE88370400440532013000", "invalid_bank_account_iban"},
		"NotATestNumber": {both.ID, "GB82WEST12345698765432", "invalid_bank_account_iban"},
		"Garbage":        {both.ID, "DE89-37", "invalid_bank_account_iban"},
		"Missing":        {both.ID, "", "parameter_missing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.debit(test.id, test.iban)
			if e := stripeError(t, err); e.Code != test.code || e.HTTPStatusCode != 400 {
				t.Errorf("got %v, want %s", err, test.code)
			}
		})
	}
	manual := func(p *stripe.PaymentIntentParams) *stripe.PaymentIntentParams {
		inEuro(p)
		return p
	}
	params := manual(&stripe.PaymentIntentParams{Amount: stripe.Int64(1250)})
	params.CaptureMethod = stripe.String("manual")
	if _, err := s.stripe.PaymentIntents.New(params); stripeError(t, err).Param != "capture_method" {
		t.Errorf("manual capture: got %v, want it refused", err)
	}
	params = manual(&stripe.PaymentIntentParams{Amount: stripe.Int64(1250)})
	params.Currency = stripe.String("gbp")
	if _, err := s.stripe.PaymentIntents.New(params); stripeError(t, err).Param != "payment_method_types" {
		t.Errorf("pounds: got %v, want them refused", err)
	}
}

func TestAutomaticMethodsFollowTheCurrency(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	for currency, want := range map[string][]string{"eur": {"card", "sepa_debit"}, "gbp": {"card"}} {
		in := s.create(func(p *stripe.PaymentIntentParams) { p.Currency, p.CaptureMethod = stripe.String(currency), nil })
		if diff := cmp.Diff(want, in.PaymentMethodTypes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", currency, diff)
		}
	}
}
