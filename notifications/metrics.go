package notifications

import (
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
)

// metrics count what mails came to, as this process has found out.
type metrics struct {
	mails *prometheus.CounterVec
}

// What a mail can come to, by the fact that says so.
var results = map[string]string{
	events.MessageSent{}.EventType():    "sent",
	events.MessageFailed{}.EventType():  "failed",
	events.MessageUnknown{}.EventType(): "unknown",
}

// newMetrics has every counter there from the start, at 0: Prometheus sees no increase in one that begins at 1.
func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{mails: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tillstream_mails_total",
		Help: "Mails that have come to an end: sent, failed, or unknown because the mail server fell silent."}, []string{"result"})}
	for _, result := range results {
		m.mails.WithLabelValues(result)
	}
	if registerer != nil {
		registerer.MustRegister(m.mails)
	}
	return m
}

// settled counts results that were appended.
func (m *metrics) settled(facts []events.Payload) {
	for _, fact := range facts {
		m.mails.WithLabelValues(results[fact.EventType()]).Inc()
	}
}
