package chaos

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/notifications/inbox"
	"tillstream/payments/sandbox"
)

// half is the probability with which a fault of Stripe affects a request or an event, so that retries succeed in the end.
const half = 0.5

// silence is how long an answer is withheld before the connection is closed. A longer silence would only occupy a worker for longer
// than the fault lasts.
const silence = sandbox.Duration(3 * time.Second)

// outside are the faults of Stripe and its webhooks that are in force. Stripe and the webhooks can have one each.
type outside struct {
	mu     sync.Mutex
	faults sandbox.Faults
}

// begin begins a fault of Stripe, the webhooks or the mail server. undo ends it.
func (o *outside) begin(f Fault, at *fleet.Outside) (undo func() error, err error) {
	if f.Kind == MailRefused {
		at.Inbox.Intercept(refuseHalf)
		return func() error { at.Inbox.Intercept(nil); return nil }, nil
	}
	change := func(probability float64) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		set(&o.faults, f, probability)
		return at.SetFaults(o.faults)
	}
	return func() error { return change(0) }, change(half)
}

// set sets the probability of a fault in the faults of the sandbox.
func set(faults *sandbox.Faults, f Fault, probability float64) {
	requests, webhooks := &faults.Requests, &faults.Webhooks
	requests.Hold = silence
	switch f.Kind {
	case StripeBroken:
		requests.ServerError = probability
	case StripeKept:
		requests.Stored500After = probability
	case StripeBusy:
		requests.RateLimited = probability
	case StripeSilent:
		requests.TimeoutAfter = probability
	case WebhooksLost:
		webhooks.Drop = probability
	case WebhooksTwice:
		webhooks.Duplicate = probability
	case WebhooksLate:
		webhooks.Delay, webhooks.DelayBy = probability, sandbox.Duration(time.Duration(f.Amount)*time.Millisecond)
	}
}

func refuseHalf(_ context.Context, at inbox.Stage, _, _ string) error {
	if at == inbox.StageRcpt && rand.IntN(2) == 0 {
		return inbox.Refuse(451, "try again later")
	}
	return nil
}
