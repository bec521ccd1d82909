package notifications_test

import (
	"fmt"
	"testing"

	"tillstream/events"
	"tillstream/notifications"
)

// BenchmarkMails is confirmations from the order's event to the mailbox, over one log on disk.
func BenchmarkMails(b *testing.B) {
	p := open(b)
	for i := range b.N {
		p.says(b, fmt.Sprint("o", i), notifications.SampleConfirmed(fmt.Sprint("o", i)))
	}
	b.ResetTimer()
	p.runs(b, p.service(b, patient))
	waitFor(b, "all mails have arrived", func() bool {
		return p.idle(b, events.StreamNotifications, "notifications-mail") && p.length(b) == uint64(3*b.N)
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
