package notifications

import (
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
)

// metrics count the results of mails that this process has sent.
type metrics struct {
	mails *prometheus.CounterVec
}

// results are the label values by event type.
var results = map[string]string{
	events.MessageSent{}.EventType():    "sent",
	events.MessageFailed{}.EventType():  "failed",
	events.MessageUnknown{}.EventType(): "unknown",
}

// newMetrics creates every counter at 0, because Prometheus sees no increase in a counter that begins at 1.
func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{mails: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tillstream_mails_total",
		Help: "Mails by result: sent, failed, or unknown because the mail server did not answer."}, []string{"result"})}
	for _, result := range results {
		m.mails.WithLabelValues(result)
	}
	if registerer != nil {
		registerer.MustRegister(m.mails)
	}
	return m
}

// count counts results that were appended.
func (m *metrics) count(facts []events.Payload) {
	for _, fact := range facts {
		m.mails.WithLabelValues(results[fact.EventType()]).Inc()
	}
}
