package console

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/output"
	"tillstream/events/replay"
)

// errChecking is returned when a check of the payments is running already.
var errChecking = errors.New("the payments are being compared with Stripe already")

// paymentCheck compares the payments with Stripe when staff ask for it, one comparison at a time. It keeps the newest result in
// memory until the process ends.
type paymentCheck struct {
	run func(context.Context, func(invariants.Progress)) (invariants.Report, error) // nil without a key of Stripe

	mu    sync.Mutex
	state checkState
}

// checkState is what the page shows of a check.
type checkState struct {
	Running  bool
	Stage    string // while it runs, such as "log: 12,000 of 30,000"
	By       string // who started it
	Started  time.Time
	Finished time.Time          // of the newest result; zero without one
	Report   *invariants.Report // nil without a result
	Error    string             // why the newest one failed
}

// CheckPaymentsWith returns the comparison of the payments in a log with Stripe for Config.CheckPayments, nil without a secret key.
func CheckPaymentsWith(log *replay.Reader, stripeURL, secretKey string) func(context.Context, func(invariants.Progress)) (invariants.Report, error) {
	if secretKey == "" {
		return nil
	}
	return func(ctx context.Context, progress func(invariants.Progress)) (invariants.Report, error) {
		return invariants.CheckPayments(ctx, invariants.Options{Log: log, StripeURL: cmp.Or(stripeURL, stripeAPI), StripeKey: secretKey, Progress: progress})
	}
}

// stripeAPI is the origin of Stripe.
const stripeAPI = "https://api.stripe.com"

// get returns the state of the check.
func (p *paymentCheck) get() checkState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// start runs the check in the background until it ends or ctx does. It returns errChecking while one runs.
func (p *paymentCheck) start(ctx context.Context, by string, now func() time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.Running {
		return errChecking
	}
	p.state.Running, p.state.By, p.state.Started, p.state.Stage, p.state.Error = true, by, now(), "begins", ""
	go func() {
		report, err := p.run(ctx, p.report)
		p.finish(report, err, now())
	}()
	return nil
}

func (p *paymentCheck) report(progress invariants.Progress) {
	stage := progress.Stage + ": " + output.Number(progress.Done)
	if progress.Total > 0 {
		stage += " of " + output.Number(progress.Total)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Stage = stage
}

func (p *paymentCheck) finish(report invariants.Report, err error, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Running, p.state.Stage = false, ""
	if err != nil {
		p.state.Error = err.Error()
		return
	}
	p.state.Finished, p.state.Report = at, &report
}
