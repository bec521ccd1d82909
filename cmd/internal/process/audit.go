package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/cmd/internal/output"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// auditPause is the pause of an audit after every 1,000 events, so that sales do not notice it: it reads about 4,000 events a second.
// auditPatience is how long it waits for the archive to reach the end of the log. auditPoll is how often a process looks whether an
// audit is due, or another process has done one.
const (
	auditPause    = 250 * time.Millisecond
	auditPatience = time.Minute
	auditPoll     = time.Minute
)

// auditor compares log and archive on a schedule. All processes of the shop have one; the lease of the audit decides which of them
// does it, and its checkpoint tells the others the result.
type auditor struct {
	HostConfig
	holder string

	mu   sync.Mutex
	last replay.AuditReport // zero: none
}

func newAuditor(config HostConfig) *auditor {
	return &auditor{HostConfig: config, holder: cmp.Or(config.Holder, uuid.NewString())}
}

// run audits whenever an audit is due, until ctx ends. An audit that fails is tried again at the next poll.
func (a *auditor) run(ctx context.Context) {
	if a.AuditEvery <= 0 {
		return
	}
	for worker.Sleep(ctx, min(auditPoll, a.AuditEvery)) {
		if err := a.poll(ctx); err != nil && ctx.Err() == nil {
			a.Log.Logger().Warn("log and archive not compared", "error", err)
		}
	}
}

// poll reads the last result, and audits if that is due and no other process does.
func (a *auditor) poll(ctx context.Context) error {
	if due, err := a.due(ctx); err != nil || !due {
		return err
	}
	lease, ok, err := a.Log.Acquire(ctx, replay.AuditLane, a.holder)
	if err != nil || !ok {
		return err
	}
	defer func() {
		if err := a.Log.Release(context.WithoutCancel(ctx), lease); err != nil {
			a.Log.Logger().Warn("lease not released", "lane", lease.Lane, "error", err)
		}
	}()
	if due, err := a.due(ctx); err != nil || !due { // another process has audited before it released the lease
		return err
	}
	return a.audit(ctx, &lease)
}

// due reads the last result, and reports whether the next audit is due.
func (a *auditor) due(ctx context.Context) (bool, error) {
	last, err := replay.LastAudit(ctx, a.Log)
	if err != nil {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = last
	return a.Log.Now().Sub(last.At) >= a.AuditEvery, nil
}

// audit compares log and archive while it holds the lease, and records the result.
func (a *auditor) audit(ctx context.Context, lease *eventlog.Lease) error {
	reader, err := replay.On(ctx, a.Log)
	if err != nil {
		return err
	}
	leased, lost := context.WithCancel(ctx)
	var renewal sync.WaitGroup
	renewal.Go(func() { a.renew(leased, lease, lost) })
	report, err := replay.Audit{DB: a.DB, Log: reader, Pause: auditPause, Patience: auditPatience}.Run(leased)
	lost()
	renewal.Wait()
	if err != nil {
		return err
	}
	if err := replay.SaveAudit(ctx, a.Log, report); err != nil {
		return err
	}
	a.mu.Lock()
	a.last = report
	a.mu.Unlock()
	if report.Differences == 0 {
		a.Log.Logger().Info("log and archive compared", "events", report.Events, "seconds", report.Seconds)
		return nil
	}
	first := report.First[0]
	a.Log.Logger().Error("log and archive differ; run ops verify --deep", "differences", report.Differences, "events", report.Events,
		"from", first.From, "to", first.To, "difference", first.Detail)
	return nil
}

// renew renews the lease until ctx ends, or until another process has it; then it calls lost.
func (a *auditor) renew(ctx context.Context, lease *eventlog.Lease, lost func()) {
	for worker.Sleep(ctx, a.Log.LeaseTTL()/3) {
		if err := a.Log.Renew(ctx, lease); errors.Is(err, eventlog.ErrCheckpointConflict) {
			lost()
		}
	}
}

// problem returns an error while the last audit has found differences.
func (a *auditor) problem() error {
	last := a.result()
	if last.Differences == 0 {
		return nil
	}
	return fmt.Errorf("the audit of %s found %s between log and archive: run ops verify --deep", last.At.Format(time.RFC3339), output.Count(last.Differences, "difference"))
}

func (a *auditor) result() replay.AuditReport {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// metrics returns the metrics of the last audit by any process.
func (a *auditor) metrics() []prometheus.Collector {
	gauge := func(name, help string, value func(replay.AuditReport) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(a.result()) })
	}
	return []prometheus.Collector{
		gauge("tillstream_audit_time_seconds", "When log and archive were last compared, in seconds since 1970; 0 if never.", func(r replay.AuditReport) float64 {
			if r.At.IsZero() {
				return 0
			}
			return float64(r.At.Unix())
		}),
		gauge("tillstream_audit_differences", "Events that the last comparison found in only one of log and archive, or with different contents.",
			func(r replay.AuditReport) float64 { return float64(r.Differences) }),
	}
}
