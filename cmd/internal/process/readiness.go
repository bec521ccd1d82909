package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// The codes of the conditions that a process reports. Alerts and dashboards use them, so a code is never renamed. The table in
// deploy/runbook.md says of each what to do.
const (
	CodeArchiveBehind       = "archive_behind"
	CodeArchiveEmpty        = "archive_empty"
	CodeBrokerUnavailable   = "broker_unavailable"
	CodeCircuitOpen         = "circuit_open"
	CodeCopiesDiffer        = "copies_differ"
	CodeDatabaseUnavailable = "database_unavailable"
	CodeDeadLetters         = "dead_letters"
	CodeDiskFull            = "disk_full"
	CodeLanePaused          = "lane_paused"
	CodeLaneWaiting         = "lane_waiting"
	CodeLogDamaged          = "log_damaged"
	CodeLogNeedsRepair      = "log_needs_repair"
	CodeLogVerifying        = "log_verifying"
	CodeNewerRelease        = "newer_release"
	CodeNotStored           = "not_stored"
	CodeProjectionBehind    = "projection_behind"
	CodeStarting            = "starting"
	CodeStoreDamaged        = "store_damaged"
	CodeStreamMissing       = "stream_missing"
	CodeTestKeys            = "test_keys"
)

// notReady tells of every code whether the process is not ready under that condition. Otherwise it is degraded.
var notReady = map[string]bool{
	CodeArchiveBehind:       false,
	CodeArchiveEmpty:        false,
	CodeBrokerUnavailable:   true,
	CodeCircuitOpen:         false,
	CodeCopiesDiffer:        false,
	CodeDatabaseUnavailable: false,
	CodeDeadLetters:         false,
	CodeDiskFull:            true,
	CodeLanePaused:          false,
	CodeLaneWaiting:         true,
	CodeLogDamaged:          true,
	CodeLogNeedsRepair:      false,
	CodeLogVerifying:        false,
	CodeNewerRelease:        true,
	CodeNotStored:           true,
	CodeProjectionBehind:    false,
	CodeStarting:            true,
	CodeStoreDamaged:        false,
	CodeStreamMissing:       true,
	CodeTestKeys:            true,
}

// Condition is a reason why a process is not ready or degraded. Its text begins with the code.
type Condition struct {
	Code string
	Err  error
}

// Error returns the code and the text.
func (c Condition) Error() string { return c.Code + ": " + c.Err.Error() }

// ShortCode returns the code, which package api tells everybody.
func (c Condition) ShortCode() string { return c.Code }

// NotReady reports whether the process is not ready under the condition. Otherwise it is degraded.
func (c Condition) NotReady() bool { return notReady[c.Code] }

// Unwrap returns the error without the code.
func (c Condition) Unwrap() error { return c.Err }

// Check is a check of a part that the host does not know, such as an embedded server. Problem must return at once.
type Check struct {
	Code    string
	Problem func() error
}

// How often the conditions are collected, and how long ago that may be: a collection that does not end is a condition too.
const (
	collectEvery = 50 * time.Millisecond
	collectStale = 5 * time.Second
)

// readiness collects the conditions of a process in the background, so that /readyz and /metrics answer at once.
type readiness struct {
	host   *Host
	checks []Check
	probes []*probe

	last    atomic.Pointer[snapshot]
	backlog map[string]*backlog // by lane
}

type snapshot struct {
	at         time.Time
	conditions []Condition
}

func newReadiness(h *Host) *readiness {
	r := &readiness{host: h, checks: slices.Clone(h.config.Checks), backlog: map[string]*backlog{}}
	for _, d := range h.domains {
		if c, ok := d.(checked); ok {
			r.checks = append(r.checks, c.Checks()...)
		}
	}
	r.probes = []*probe{{timeout: time.Second, ask: r.askBroker}, {timeout: 2 * time.Second, ask: newArchiveProbe(h).ask}}
	if h.config.Registerer != nil {
		h.config.Registerer.MustRegister(r)
	}
	return r
}

// run collects until ctx ends.
func (r *readiness) run(ctx context.Context) {
	var probes sync.WaitGroup
	defer probes.Wait()
	for _, p := range r.probes {
		probes.Go(func() { p.run(ctx) })
	}
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	for {
		now := time.Now()
		conditions := r.collect(now)
		r.logChanges(conditions)
		r.last.Store(&snapshot{at: now, conditions: conditions})
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// conditions returns the newest conditions.
func (r *readiness) conditions() []Condition {
	last := r.last.Load()
	if last == nil {
		return []Condition{{CodeStarting, errors.New("not checked yet")}}
	}
	if age := time.Since(last.at); age > collectStale {
		return append(slices.Clip(last.conditions), Condition{CodeBrokerUnavailable, fmt.Errorf("the checks have not ended for %s", age.Round(time.Second))})
	}
	return last.conditions
}

// problems returns the conditions under which the process is not ready, or those under which it is degraded.
func (r *readiness) problems(vital bool) error {
	var problems []error
	for _, c := range r.conditions() {
		if c.NotReady() == vital {
			problems = append(problems, c)
		}
	}
	return errors.Join(problems...)
}

func (r *readiness) collect(now time.Time) (found []Condition) {
	add := func(code string, err error) {
		if err != nil {
			found = append(found, Condition{code, err})
		}
	}
	connected := r.host.config.Log.JetStream().Conn().IsConnected()
	for _, err := range each(r.host.worker.Ready()) {
		add(waitCode(err, connected, CodeLaneWaiting), err)
	}
	for _, d := range r.host.domains {
		add(CodeStarting, d.Ready())
	}
	for _, err := range each(r.host.worker.Degraded()) {
		add(waitCode(err, connected, CodeDatabaseUnavailable), err)
	}
	add(CodeNotStored, r.host.config.Log.Storing())
	for _, c := range r.checks {
		add(c.Code, c.Problem())
	}
	add(CodeCopiesDiffer, r.host.auditor.problem())
	add(CodeDeadLetters, openDeadLetters(r.host.Lanes()))
	add(CodeProjectionBehind, r.projectionsBehind(now))
	for _, p := range r.probes {
		found = append(found, p.result()...)
	}
	return found
}

// each returns the parts of a joined error.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// waitCode returns the code for why a lane or the reader waits.
func waitCode(err error, connected bool, otherwise string) string {
	var gap *eventlog.GapError
	switch {
	case errors.Is(err, worker.ErrStarting):
		return CodeStarting
	case errors.Is(err, worker.ErrPaused):
		return CodeLanePaused
	case errors.Is(err, worker.ErrCircuitOpen):
		return CodeCircuitOpen
	case errors.Is(err, events.ErrNewer):
		return CodeNewerRelease
	case errors.Is(err, eventlog.ErrNeedsRepair):
		return CodeLogNeedsRepair
	case errors.Is(err, worker.ErrVerifying):
		return CodeLogVerifying
	case errors.Is(err, eventlog.ErrTruncated), errors.As(err, &gap):
		return CodeLogDamaged
	case errors.Is(err, eventlog.ErrUnavailable) && !connected:
		return CodeBrokerUnavailable
	}
	return otherwise
}

// openDeadLetters returns an error with the number of open dead letters of each lane.
func openDeadLetters(lanes []worker.LaneStatus) error {
	var counts []string
	for _, l := range lanes {
		if l.Dead > 0 {
			counts = append(counts, fmt.Sprintf("%s %d", l.Name, l.Dead))
		}
	}
	if len(counts) == 0 {
		return nil
	}
	return fmt.Errorf("open: %s; their orders make no progress: `ops deadletters list`", strings.Join(counts, ", "))
}

// logChanges logs which conditions have begun or ended since the last collection.
func (r *readiness) logChanges(now []Condition) {
	last := r.last.Load()
	if last == nil {
		return
	}
	before, after := byCode(last.conditions), byCode(now)
	for _, code := range slices.Sorted(maps.Keys(notReady)) {
		switch _, was := before[code]; {
		case was && after[code] == nil:
			r.host.config.Log.Logger().Info("condition ended", "code", code)
		case !was && after[code] != nil:
			r.host.config.Log.Logger().Warn("condition began", "code", code, "not_ready", notReady[code], "error", after[code])
		}
	}
}

func byCode(conditions []Condition) map[string]error {
	errs := map[string]error{}
	for _, c := range conditions {
		errs[c.Code] = errors.Join(errs[c.Code], c.Err)
	}
	return errs
}

var conditionDesc = prometheus.NewDesc("tillstream_condition",
	"1 while the process reports the condition. The effect is that it is not_ready and gets no requests, or that it is degraded.", []string{"code", "effect"}, nil)

// Describe implements prometheus.Collector.
func (r *readiness) Describe(to chan<- *prometheus.Desc) { to <- conditionDesc }

// Collect implements prometheus.Collector.
func (r *readiness) Collect(to chan<- prometheus.Metric) {
	now := byCode(r.conditions())
	for code, blocks := range notReady {
		value, effect := 0.0, "degraded"
		if now[code] != nil {
			value = 1
		}
		if blocks {
			effect = "not_ready"
		}
		to <- prometheus.MustNewConstMetric(conditionDesc, prometheus.GaugeValue, value, code, effect)
	}
}
