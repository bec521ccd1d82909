// Package sandbox is a stateful imitation of Stripe for development and tests: an HTTP server for the ordinary Stripe client,
// with the objects of Stripe's API version 2023-10-16. Instead of banks, Stripe's published test cards and test accounts
// (docs.stripe.com/testing) decide how an attempt to pay ends, whether it is disputed, and what becomes of a refund.
//
// It promises:
//
//   - An answered request survives a killed process. Everything that a request changed (objects, events, the answer under its
//     idempotency key) is one transaction in a file, the journal. It is handed to the operating system before the answer is
//     sent, but not synced, so a power cut may lose the last transactions.
//   - A request that is repeated under its idempotency key is not executed again, even after a restart.
//   - Every subscribed event is delivered at least once, signed, with retries. The next process delivers the events that were
//     not delivered when this one ended.
//   - What happens by itself (an authorization expires, a bank answers, a dispute is lost, a payout is made) happens once, when the
//     clock reaches its time, in this process or the next. Advance moves the clock.
//   - Every answer and every event matches the schemas of Stripe's OpenAPI description, but for the differences of the API version
//     that openapi_test.go lists.
//   - Memory holds only the most recent payments, and about 400 bytes of each older one: the positions of its transactions in
//     the journal.
//   - Numbers of cards and accounts exist only while a request is read. What Stripe shows of them is stored.
//
// The life of a payment:
//
//	create ──► requires_payment_method ◄──────────────────────────┐
//	             │ confirm with a card                            │
//	             ├── needs 3-D Secure ──► requires_action         │
//	             │                          │     └── fails ──────┤
//	             │                          │ completed           │
//	             ▼                          │                     │
//	           bank decides ◄───────────────┘                     │
//	             │  └── declines ─────────────────────────────────┤
//	             │ approves                                       │
//	             ├── manual capture ───► requires_capture         │
//	             │                         │  │ └── 7 days ──► canceled, "automatic"
//	             │                         │  └── capture of a part, which is not the final one: again
//	             │                         └───── capture ──► succeeded ──► refunds, disputes
//	             └── automatic capture ─────────────────────► succeeded ──► refunds, disputes
//	                                                              │  ▲
//	           confirm with an account ──► processing ── fails ───┘  │
//	                                          └──────── pays ────────┘
//
// An intent that has a payment method and is not confirmed yet is requires_confirmation. Cancel leads from every status but
// succeeded and processing to canceled.
//
// Money moves by balance transactions: captures less 2.9 % and 30 minor units, refunds, disputes with a fee of 15.00. What is available
// after two days is paid out, once a day and currency.
//
// The files in the order in which a request passes them: routes.go (route), request.go (credentials, parameters),
// faults_request.go, idempotency.go (stored answers), an operation in create.go, pay.go, debit.go, capture.go, refund.go,
// dispute.go, balance.go, payout.go, list.go or event.go, store.go (journal, then memory), answer.go, clock.go (what falls due) and
// webhook.go. Requests under /sandbox (control.go, page.go) are no part of Stripe's API: they move the clock, set the faults of
// requests and webhooks by probability, force the status of disputes and make payments of other shops. Config.Intercept delays,
// refuses or changes answers; Config.WebhookClient can lose or delay webhooks.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tillstream/events/embedded/journal"
)

// APIVersion is the version of Stripe's API that the sandbox imitates.
const APIVersion = "2023-10-16"

// Config configures a sandbox.
type Config struct {
	// BaseURL is the sandbox's address for shoppers, with which links to its 3-D Secure page start. Default: the address that
	// the request was sent to.
	BaseURL string
	// DataDir is the directory of the journal, created if missing. One process at a time may use it. Default: the journal is
	// in memory.
	DataDir string
	// Intercept wraps the work of every API request. Default: none.
	Intercept Interceptor
	// Logger receives failures of the sandbox and of deliveries. Default: nothing is logged.
	Logger *slog.Logger
	// Multicapture is whether authorizations that request it can be captured several times, as on accounts with IC+ pricing.
	// Default: they cannot.
	Multicapture bool
	// Now is the clock of created times, key expiry and signatures. Default: time.Now.
	Now func() time.Time
	// PublishableKey authorizes what a shopper's browser may do. It starts with pk_test_. Required.
	PublishableKey string
	// RetryDelays are the delays after each failed delivery of a webhook. After the last one the event is abandoned; it stays
	// in the event list. Default: 100 ms doubling up to a minute, 20 attempts in all.
	RetryDelays []time.Duration
	// SecretKey authorizes every request. It starts with sk_test_. Required.
	SecretKey string
	// WebhookClient delivers webhooks. Default: 16 kept-alive connections, 10 s for an answer, redirects not followed.
	WebhookClient *http.Client
	// WebhookEvents are the event types to deliver, "*" for all. Default: DefaultWebhookEvents.
	WebhookEvents []string
	// WebhookSecret signs deliveries. Required.
	WebhookSecret string
	// WebhookURL receives deliveries. Default: deliveries wait for SetWebhookURL.
	WebhookURL string
}

// Request is an API request as an Interceptor sees it.
type Request struct {
	ID             string
	Method         string
	Path           string
	IdempotencyKey string
}

// Answer is the answer to an API request.
type Answer struct {
	Status int
	Body   []byte
}

// Interceptor wraps the work of an API request after authentication. It may wait before or after it calls work, skip work, or
// return another answer. Its answer is sent and stored under the idempotency key, which is in use while the interceptor runs.
type Interceptor func(ctx context.Context, r Request, work func() Answer) Answer

// withDefaults sets the fields that are not set.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Intercept == nil {
		c.Intercept = func(_ context.Context, _ Request, work func() Answer) Answer { return work() }
	}
	if c.RetryDelays == nil {
		c.RetryDelays = doublingDelays(deliveryAttempts - 1)
	}
	if c.WebhookClient == nil {
		c.WebhookClient = newWebhookClient()
	}
	if c.WebhookEvents == nil {
		c.WebhookEvents = DefaultWebhookEvents()
	}
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	return c
}

// validate returns an error that names the first invalid field.
func (c Config) validate() error {
	switch {
	case !strings.HasPrefix(c.SecretKey, "sk_test_"):
		return errors.New("sandbox config: SecretKey must start with sk_test_")
	case !strings.HasPrefix(c.PublishableKey, "pk_test_"):
		return errors.New("sandbox config: PublishableKey must start with pk_test_")
	case c.WebhookSecret == "":
		// Anyone could sign with an empty secret.
		return errors.New("sandbox config: WebhookSecret is required")
	}
	if err := checkURL(c.WebhookURL); err != nil {
		return fmt.Errorf("sandbox config: WebhookURL: %w", err)
	}
	if err := checkURL(c.BaseURL); err != nil {
		return fmt.Errorf("sandbox config: BaseURL: %w", err)
	}
	return nil
}

// checkURL accepts absolute web addresses and the empty string.
func checkURL(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not an absolute http address", address)
	}
	return nil
}

// Server is a sandbox: an http.Handler with Stripe's API. Run delivers its webhooks.
type Server struct {
	config     Config
	routes     *http.ServeMux
	webhookURL atomic.Pointer[string]
	faults     faultPlan
	clock      clock
	delivered  atomic.Int64 // webhooks, since the start
	abandoned  atomic.Int64

	// The lock guards everything below. A request holds it for microseconds, to decide, encode and write to the operating system.
	mu        sync.Mutex
	journal   *journal.Journal
	intents   *objects[intent]
	charges   *objects[charge]
	refunds   *objects[refund]
	events    eventLog
	keys      idempotencyKeys
	metadata  metadataIndex
	refundsOf map[string][]int // indexes of the refunds of a charge or an intent
	balances  *objects[balanceTransaction]
	bookedFor metadataIndex      // balance transactions by the hash of their source
	owed      map[string]*ledger // what is not paid out, by currency
	payouts   *objects[payout]
	disputes  *objects[dispute]
}

// New starts a sandbox with the payments in its journal. It returns journal.ErrDamaged when the file in DataDir is not a whole
// journal of a sandbox, and journal.ErrInUse when another process uses it.
func New(config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		config: config.withDefaults(), refundsOf: make(map[string][]int), owed: make(map[string]*ledger), bookedFor: newMetadataIndex(),
		events: eventLog{numbers: make(map[string]uint16), queue: newDeliveryQueue()}, keys: newIdempotencyKeys(), metadata: newMetadataIndex(),
	}
	s.faults.set(Faults{})
	s.noteNextTask()
	s.intents = newObjects(s.readRecord, lineIntent, decodeIntent)
	s.charges = newObjects(s.readRecord, lineCharge, decodeObject[charge])
	s.refunds = newObjects(s.readRecord, lineRefund, decodeObject[refund])
	s.balances = newObjects(s.readRecord, lineBalance, decodeObject[balanceTransaction])
	s.disputes = newObjects(s.readRecord, lineDispute, decodeObject[dispute])
	s.payouts = newObjects(s.readRecord, linePayout, decodePayout)
	if err := s.openJournal(); err != nil {
		return nil, fmt.Errorf("start Stripe sandbox: %w", err)
	}
	for index, row := range s.events.rows {
		if row.pending {
			s.events.queue.push(index)
		}
	}
	if err := s.SetWebhookURL(config.WebhookURL); err != nil {
		return nil, errors.Join(err, s.journal.Close())
	}
	s.routes = s.newRoutes()
	return s, nil
}

// Close closes the journal; later requests that change something are answered with 500. Run must have returned.
func (s *Server) Close() error { return s.journal.Close() }
