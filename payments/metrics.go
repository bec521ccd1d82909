package payments

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
)

// metrics count the results of payments in the log. Every process that reads the log counts all of them, so a dashboard must
// show the maximum over the processes and not the sum.
type metrics struct {
	captured prometheus.Counter
	refused  *prometheus.CounterVec
	webhooks *prometheus.CounterVec // of this process
}

// The results of a webhook.
const (
	webhookStored   = "stored"
	webhookRepeated = "repeated" // it was stored before
	webhookForeign  = "foreign"  // of another account or mode, or about no payment of the shop: answered 200 and passed over
	webhookVersion  = "version"  // in another version of Stripe's API: answered 400
	webhookRefused  = "refused"  // without a valid signature: answered 400
	// webhookUnreadable is an entry of Stripe's list of events that the reconciler passed over
	webhookUnreadable = "unreadable"
)

// webhookResults are all results of a webhook.
var webhookResults = []string{webhookStored, webhookRepeated, webhookForeign, webhookVersion, webhookRefused, webhookUnreadable}

// passedWebhooks counts the webhooks that are not stored. Anyone can post one, so the log gets a line a minute of each result at most.
type passedWebhooks struct {
	counts *prometheus.CounterVec
	logger *slog.Logger

	mu      sync.Mutex
	results map[string]passedResult
}

type passedResult struct {
	since  int // not logged yet
	logged time.Time
}

func (p *passedWebhooks) add(result string, err error) {
	p.counts.WithLabelValues(result).Inc()
	p.mu.Lock()
	defer p.mu.Unlock()
	passed := p.results[result]
	passed.since++
	if now := time.Now(); now.Sub(passed.logged) >= time.Minute {
		p.logger.Warn("webhooks not believed", "result", result, "since_last_line", passed.since, "last_error", err)
		passed = passedResult{logged: now}
	}
	p.results[result] = passed
}

// The kinds of refusals.
const (
	kindDeclined = "declined" // the bank declined an attempt; the shopper may try again
	kindFailed   = "failed"   // Stripe refused the whole payment
)

// otherReason is the class of every code that is not listed. Stripe adds codes, and each label value would be a time series.
const otherReason = "other"

// reasonClasses groups Stripe's codes (docs.stripe.com/declines/codes, docs.stripe.com/error-codes) by the remedy that shop or
// shopper have.
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

// newMetrics creates every counter at 0, because Prometheus sees no increase in a counter that begins at 1.
func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		captured: prometheus.NewCounter(prometheus.CounterOpts{Name: "tillstream_payments_captured_total",
			Help: "Captured payments that this process has read from the log since its start."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tillstream_payments_refused_total",
			Help: "Attempts that a bank declined and payments that Stripe refused to create, which this process has read from the log since its start."},
			[]string{"kind", "reason"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tillstream_webhooks_total",
			Help: "Events of Stripe by what this process did with them: stored; repeated, because it was stored before; foreign, because it is of another account or mode or about no payment of the shop; version, because it is in another API version; refused, because it has no valid signature; unreadable, because the reconciler could not read it."},
			[]string{"result"}),
	}
	for _, result := range webhookResults {
		m.webhooks.WithLabelValues(result)
	}
	for _, kind := range []string{kindDeclined, kindFailed} {
		m.refused.WithLabelValues(kind, otherReason)
		for reason := range reasonClasses {
			m.refused.WithLabelValues(kind, reason)
		}
	}
	if registerer != nil {
		registerer.MustRegister(m.captured, m.refused, m.webhooks)
	}
	return m
}

// count counts an event of the log.
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

// reasonOf returns the class of the first code that has one.
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

// evidenceWarning is how long before evidence is due a dispute counts as one that needs it now.
const evidenceWarning = 3 * 24 * time.Hour

// evidenceDue reports whether the shop still has to answer and the time to do so ends within three days.
func (d Dispute) evidenceDue(now time.Time) bool {
	return d.Unanswered() && !d.EvidenceDue.IsZero() && d.EvidenceDue.Sub(now) < evidenceWarning
}

// measureDisputes registers gauges of the payments in the list in memory that have a dispute which is not closed.
func (s *Service) measureDisputes(registerer prometheus.Registerer) {
	if registerer == nil {
		return
	}
	gauge := func(name, help string, counts func(Dispute) bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			return float64(s.index.Count(func(p *Payment) bool { return p.hasDispute(counts) }))
		})
	}
	registerer.MustRegister(
		gauge("tillstream_payments_disputes_open", "Payments with a dispute or an inquiry of the bank that is not closed.", Dispute.Open),
		gauge("tillstream_payments_disputes_due", "Payments with a dispute that the shop has to answer within three days, or whose time has passed.",
			func(d Dispute) bool { return d.evidenceDue(s.log.Now()) }))
}
