package notifications_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

// A mail is counted once by its result, and every counter exists before the first mail.
func TestMailsAreCountedByResult(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.box.Intercept(func(_ context.Context, at inbox.Stage, _, to string) error {
		if at == inbox.StageRcpt {
			return inbox.Refuse(550, "no such mailbox")
		}
		return nil
	})
	registry := prometheus.NewRegistry()
	s := p.service(t, func(c *notifications.Config) { c.Registerer = registry })
	if diff := cmp.Diff(map[string]float64{"sent": 0, "failed": 0, "unknown": 0}, mailsCounted(t, registry)); diff != "" {
		t.Errorf("before the first mail (-want +got):\n%s", diff)
	}
	p.start(t, s)
	p.queueMessage(t, confirmation("o1"))
	p.waitForStatus(t, "o1", 0, notifications.StatusFailed)
	p.box.Intercept(func(context.Context, inbox.Stage, string, string) error { return nil })
	p.queueMessage(t, confirmation("o2"))
	p.waitForStatus(t, "o2", 0, notifications.StatusSent)
	p.waitUntilIdle(t)
	if diff := cmp.Diff(map[string]float64{"sent": 1, "failed": 1, "unknown": 0}, mailsCounted(t, registry)); diff != "" {
		t.Errorf("after two mails (-want +got):\n%s", diff)
	}
}

// mailsCounted returns the counters of mails by result.
func mailsCounted(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			counts[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return counts
}
