package payments

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
)

// metrics count what became of payments, as the log says it: every process that reads the log counts the same, so what is shown is
// the largest count, not the sum.
type metrics struct {
	captured prometheus.Counter
	refused  *prometheus.CounterVec
}

// Who refuses a payment: the bank an attempt, which the shopper may repeat, or Stripe the whole payment.
const (
	kindDeclined = "declined"
	kindFailed   = "failed"
)

// otherReason is for every code that has no class. Stripe adds codes as it likes, and each label value is a time series.
const otherReason = "other"

// reasonClasses are the codes of Stripe (docs.stripe.com/declines/codes, docs.stripe.com/error-codes) by what shop and shopper can do.
var reasonClasses = map[string][]string{
	"funds": {"insufficient_funds", "withdrawal_count_limit_exceeded", "card_velocity_exceeded"},
	"card": {"expired_card", "incorrect_cvc", "invalid_cvc", "incorrect_number", "invalid_number", "invalid_expiry_month", "invalid_expiry_year",
		"incorrect_zip", "lost_card", "stolen_card", "pickup_card", "restricted_card", "card_not_supported", "currency_not_supported", "invalid_account"},
	"authentication": {"authentication_required", "authentication_not_handled", "payment_intent_authentication_failure", "pin_try_exceeded", "approve_with_id"},
	"fraud":          {"fraudulent", "merchant_blacklist", "security_violation", "highest_risk_level", "elevated_risk_level"},
	"bank": {"do_not_honor", "generic_decline", "call_issuer", "try_again_later", "issuer_not_available", "processing_error", "reenter_transaction",
		"transaction_not_allowed", "no_action_taken", "not_permitted", "service_not_allowed", "do_not_try_again"},
	"amount": {"amount_too_small", "amount_too_large", "invalid_amount", "invalid_charge_amount"},
}

// newMetrics has every counter there from the start, at 0: Prometheus sees no increase in one that begins at 1.
func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		captured: prometheus.NewCounter(prometheus.CounterOpts{Name: "tillstream_payments_captured_total",
			Help: "Payments captured, in the log since this process started."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tillstream_payments_refused_total",
			Help: "Attempts that a bank declined, and payments that Stripe refused to take up, in the log since this process started."},
			[]string{"kind", "reason"}),
	}
	for _, kind := range []string{kindDeclined, kindFailed} {
		m.refused.WithLabelValues(kind, otherReason)
		for reason := range reasonClasses {
			m.refused.WithLabelValues(kind, reason)
		}
	}
	if registerer != nil {
		registerer.MustRegister(m.captured, m.refused)
	}
	return m
}

// saw counts an event of the log.
func (m *metrics) count(e events.Event) {
	switch fact := e.Payload.(type) {
	case events.PaymentCaptured:
		m.captured.Inc()
	case events.PaymentDeclined:
		m.refused.WithLabelValues(kindDeclined, reasonOf(fact.DeclineCode, fact.Code)).Inc()
	case events.PaymentFailed:
		m.refused.WithLabelValues(kindFailed, reasonOf(fact.Code)).Inc()
	}
}

// reasonOf is the class of the first code that has one.
func reasonOf(codes ...string) string {
	for _, code := range codes {
		for reason, known := range reasonClasses {
			if slices.Contains(known, code) {
				return reason
			}
		}
	}
	return otherReason
}
