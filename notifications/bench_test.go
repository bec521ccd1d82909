package notifications_test

import (
	"fmt"
	"testing"

	"tillstream/notifications"
)

// BenchmarkMails is confirmations from the order's event to the mailbox, over one log on disk.
func BenchmarkMails(b *testing.B) {
	p := open(b)
	for i := range b.N {
		p.appendOrder(b, fmt.Sprint("o", i), notifications.SampleConfirmed(fmt.Sprint("o", i)))
	}
	b.ResetTimer()
	p.start(b, p.service(b, withDefaultDeadline))
	p.waitUntilIdle(b)
	if got := p.countEvents(b); got != 3*b.N {
		b.Fatalf("%d events, want %d", got, 3*b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
