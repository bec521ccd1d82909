package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/payments/sandbox"
)

// faults names what goes wrong during a run.
type faults string

const (
	noFaults      faults = ""
	allFaults     faults = "all"      // processes, connections, Stripe and the mail server, during a soak test
	paymentFaults faults = "payments" // what is between the shop and Stripe, during a number of purchases
)

// Decode implements [kong.MapperValue]. The flag without a value means all faults.
func (f *faults) Decode(ctx *kong.DecodeContext) error {
	next := ctx.Scan.Peek()
	value, isText := next.Value.(string)
	known := isText && slices.Contains([]faults{allFaults, paymentFaults}, faults(value))
	switch {
	case next.Type != kong.FlagValueToken && !known:
		*f = allFaults
		return nil
	case !known:
		return fmt.Errorf("got %v, want %s or %s", next.Value, allFaults, paymentFaults)
	}
	*f = faults(ctx.Scan.Pop().Value.(string))
	return nil
}

func (c *command) checkFaults() error {
	switch {
	case c.Faults == allFaults && c.Soak == 0:
		return errors.New("--faults: needs a duration, such as --soak 10m; with a number of --orders use --faults payments")
	case c.Faults == allFaults && c.namesShop():
		return errors.New("--faults: faults are injected only into a local shop; omit --shop and all addresses (--nats or NATS_URL, --storefront, --ops)")
	case c.Faults == paymentFaults && (c.Soak > 0 || c.CSV != "" || c.Attack || c.Redeliver || c.playsIncident() || c.Profile || c.NoVerify):
		return errors.New("--faults payments: it buys a number of --orders and checks every payment; omit --soak, --csv, --attack, --redeliver, --profile, --no-verify and incidents")
	case c.Faults == paymentFaults: // a shopper whose webhook is lost waits for the reconciler
		c.Concurrency = max(c.Concurrency, waiting)
	}
	return nil
}

// waiting is the number of concurrent shoppers with faults of payments, at least.
const waiting = 32

// impatience is how long a shopper waits for an order that cannot be paid. If Stripe has stored a 500 under the key of the request that
// creates the payment, and has not created it, the order cannot be paid for a day: the shop uses no second key.
const impatience = 30 * time.Second

// between returns the faults of a run with --faults payments: a fifth of the webhooks is lost, and about one request in ten fails.
func between(seed uint64) sandbox.Faults {
	return sandbox.Faults{Seed: seed,
		Webhooks: sandbox.WebhookFaults{Drop: 0.2, Duplicate: 0.1, Reorder: 0.1, Delay: 0.1, DelayBy: sandbox.Duration(2 * time.Second),
			Forge: 0.05, OldVersion: 0.05, Foreign: 0.05},
		Requests: sandbox.RequestFaults{TimeoutBefore: 0.02, TimeoutAfter: 0.02, Hold: sandbox.Duration(2 * time.Second), RateLimited: 0.02,
			ServerError: 0.02, Stored500: 0.01, Conflict: 0.02, SearchRefused: 0.3}}
}

// buyWithPaymentFaults buys while webhooks and requests between the shop and Stripe fail. The faults have ended when it returns.
func (s *session) buyWithPaymentFaults(ctx context.Context, c *command, progress io.Writer) (loadgen.Report, error) {
	if _, err := s.setFaults(ctx, http.MethodPut, between(c.Seed)); err != nil {
		return loadgen.Report{}, err
	}
	report, err := s.buy(ctx, c, progress)
	injected, endErr := s.setFaults(context.WithoutCancel(ctx), http.MethodDelete, nil)
	s.faultsEnded, report.Injected = time.Now(), injected
	return report, errors.Join(err, endErr)
}

// setFaults begins or ends the faults of the sandbox, and returns how many were injected, by kind.
func (s *session) setFaults(ctx context.Context, method string, faults any) (injected map[string]int, err error) {
	body, err := json.Marshal(faults)
	if err != nil {
		return nil, fmt.Errorf("encode faults: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.target.Stripe+"/sandbox/faults", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("faults of Stripe: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+s.target.StripeSecretKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("faults of Stripe: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("faults of Stripe: %s answers %s: is it a sandbox, and the key its secret key?", s.target.Stripe, response.Status)
	}
	var answer struct {
		Injected map[string]int `json:"injected"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("faults of Stripe: %w", err)
	}
	return answer.Injected, nil
}

// comparePayments compares the money at Stripe with what each shopper has paid, after the shop has recovered.
func (s *session) comparePayments(ctx context.Context, injected map[string]int) (*loadgen.Payments, error) {
	clean := time.Since(s.faultsEnded)
	payments, err := s.charges.Compare(ctx, s.shop, s.since)
	if err != nil {
		return nil, err
	}
	payments.CleanS = clean.Seconds()
	if stored := injected["requests.stored_500"]; payments.Unpayable > stored {
		payments.Differences = append(payments.Differences, fmt.Sprintf("%s could not be paid, but Stripe stored only %s",
			output.Count(payments.Unpayable, "order"), output.Count(stored, "error")))
	}
	reader, closeLog, err := s.target.Log(ctx)
	if err != nil {
		return nil, err
	}
	defer closeLog()
	payments.Recovered, err = countRecovered(ctx, reader, s.logFrom)
	return payments, err
}

// countRecovered counts the events of Stripe that the reconciler has stored after a sequence of the log.
func countRecovered(ctx context.Context, log *replay.Reader, after uint64) (n int, err error) {
	end, err := log.Last(ctx)
	if err != nil {
		return 0, fmt.Errorf("count recovered events: %w", err)
	}
	err = log.Each(ctx, replay.Range{Subjects: []string{events.PrefixPayment + "*"}, From: after + 1, To: end}, func(m replay.Message) error {
		e, err := m.Event()
		if stored, ok := e.Payload.(events.WebhookReceived); ok && err == nil && stored.Via == "reconciler" {
			n++
		}
		return nil // the invariant checker reports what cannot be read
	})
	if err != nil {
		return 0, fmt.Errorf("count recovered events: %w", err)
	}
	return n, nil
}
