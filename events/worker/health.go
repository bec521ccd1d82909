package worker

import "github.com/prometheus/client_golang/prometheus"

// laneMetrics are the counters of one lane.
type laneMetrics struct {
	retries     prometheus.Counter
	deadLetters prometheus.Counter
}

func newLaneMetrics(l *lane, dead *letters, registerer prometheus.Registerer) *laneMetrics {
	labels := prometheus.Labels{"lane": l.name}
	m := &laneMetrics{
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_lane_retries_total", Help: "Times a lane had to try again.", ConstLabels: labels}),
		deadLetters: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_lane_dead_letters_total", Help: "Events that a lane could not handle, redeliveries included.", ConstLabels: labels})}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value)
	}
	if registerer != nil {
		registerer.MustRegister(m.retries, m.deadLetters,
			gauge("tillstream_lane_lag_events", "Events that this process has read and the lane has not handled; 0 where it does not run.", l.lag),
			gauge("tillstream_lane_open_acts", "Acts that have begun and not ended, such as mails that wait for another try; 0 where the lane does not run.", l.openActs),
			gauge("tillstream_lane_open_dead_letters", "Dead letters of the lane that nobody has redriven or discarded.", func() float64 { return dead.count(l.name) }),
			gauge("tillstream_lane_held", "1 where the lane is on hold because its destination takes nothing.", l.onHold))
	}
	return m
}

func (l *lane) lag() float64 {
	s := l.status()
	end := l.reader.ring.next() - 1
	if !s.Leased || s.Position >= end {
		return 0
	}
	return float64(end - s.Position)
}

func (l *lane) openActs() float64 {
	s := l.status()
	if !s.Leased {
		return 0
	}
	return float64(s.Open)
}

func (l *lane) onHold() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold != nil {
		return 1
	}
	return 0
}
