package redelivery

import (
	"context"
	"fmt"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/events"
	"tillstream/events/replay"
)

// bookingTime is how long the shop may take to record what Stripe has booked for a capture. An older capture without a booking gets
// none, for example because Stripe refuses to list them.
const bookingTime = time.Hour

// unbooked names the captures whose bookings the reconciler has still to record. It appends them a minute after the purchase, and a
// comparison would take them for an effect of the redelivery.
func unbooked(ctx context.Context, reader *replay.Reader) (waiting []string, err error) {
	missing := map[string]bool{}
	err = reader.Each(ctx, replay.Range{Subjects: []string{events.PrefixPayment + "*"}}, func(m replay.Message) error {
		e, err := m.Event()
		switch e.Payload.(type) {
		case events.PaymentCaptured:
			if time.Since(e.Time) < bookingTime {
				missing[m.Subject] = true
			}
		case events.PaymentBalanceRecorded:
			delete(missing, m.Subject)
		}
		return err
	})
	if len(missing) > 0 {
		waiting = []string{fmt.Sprintf("%s not booked yet", output.Count(len(missing), "capture"))}
	}
	return waiting, err
}
