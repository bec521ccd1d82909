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
		p.says(b, fmt.Sprint("o", i), notifications.SampleConfirmed(fmt.Sprint("o", i)))
	}
	b.ResetTimer()
	p.runs(b, p.service(b, patient))
	p.settled(b)
	if got := p.length(b); got != 3*b.N {
		b.Fatalf("%d events, want %d", got, 3*b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
