package payments

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/singleflight"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/index"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
)

// Payments is the entity of this domain: a payment, by its id.
var Payments = eventlog.Entity[Payment]{Prefix: events.PrefixPayment, Apply: Payment.Apply}

// Access decides who may read a payment, and who may list all.
type Access interface {
	api.OrderAccess
	api.StaffAccess
}

// Config is the configuration of a [Service].
type Config struct {
	Access         Access                // required
	Capture        string                // one of the Capture constants of package events, for new payments; default [events.CaptureAtConfirmation]
	CardAttempts   int                   // declined attempts after which a payment is cancelled; default 10
	Concurrency    int                   // requests to Stripe at a time; default 32
	DB             *mongo.Database       // of the projection; required
	Gateway        Gateway               // default: Stripe over HTTP at StripeAPIBase
	Log            *eventlog.Log         // the handle of the domain payments; required
	Logger         *slog.Logger          // default: discard
	Proxies        api.Proxies           // before this process; default: none
	PublishableKey string                // pk_…, sent to shoppers' browsers; required
	Methods        []string              // types of payment methods at Stripe, see [events.CheckMethods]; default cards
	ReconcileEvery time.Duration         // how often the reconciler looks for missed webhooks; default 1 min
	Registerer     prometheus.Registerer // default: none
	SecretKey      string                // sk_… or rk_…; its prefix gives the mode, live or test; required
	StripeAPIBase  string                // default: Stripe's own
	Waits          api.StreamLimits      // of the requests that wait for a payment; default: those of [api.StreamLimits]
	StripeRate     float64               // requests to Stripe per second; default: 80 in live mode, 20 in test mode, no limit for a sandbox
	WebhookSecret  string                // whsec_…, with which Stripe signs webhooks; required
}

// The sizes of the caches of a [Service].
const (
	maxSecrets  = 10_000 // client secrets; one that was evicted is retrieved from Stripe again
	maxRefusals = 1_000  // refused acts; one that was evicted is retried once more before it becomes a dead letter
	maxParsed   = 1_000  // parsed intents of webhooks
)

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Concurrency == 0 {
		c.Concurrency = actConcurrency
	}
	if c.CardAttempts == 0 {
		c.CardAttempts = 10
	}
	if c.Methods == nil {
		c.Methods = []string{events.MethodCard}
	}
	if c.Capture == "" {
		c.Capture = events.CaptureAtConfirmation
	}
	if c.ReconcileEvery == 0 {
		c.ReconcileEvery = time.Minute
	}
	return c
}

// validate returns an error that names the first invalid field.
func (c Config) validate() error {
	switch {
	case c.Log == nil:
		return errors.New("payments: Config.Log is required")
	case c.DB == nil:
		return errors.New("payments: Config.DB is required")
	case c.Access == nil:
		return errors.New("payments: Config.Access is required")
	case c.StripeRate < 0:
		return errors.New("payments: Config.StripeRate must not be negative")
	case c.ReconcileEvery < 0 || c.Concurrency < 0 || c.CardAttempts < 0:
		return errors.New("payments: Config.ReconcileEvery, Config.Concurrency and Config.CardAttempts must not be negative")
	}
	if err := c.terms().validate(); err != nil {
		return err
	}
	return c.CheckStripe()
}

// Service is the payments domain of one process: its API, its part in a worker, and its projection, over one log.
type Service struct {
	config   Config
	log      *eventlog.Log
	logger   *slog.Logger
	gateway  Gateway
	livemode bool
	hub      *hub
	index    *index.Index[Payment] // the list for staff
	metrics  *metrics
	secrets  *lru.Cache[string, string] // intent id → client secret
	parsed   *lru.Cache[parsedKey, Intent]
	refused  *lru.Cache[string, struct{}] // ids of events whose capture or cancellation was refused once
	cursor   *cursor

	waits     *api.Streams       // counts the requests that wait
	receiving singleflight.Group // by the id of Stripe's event
	passed    passedWebhooks
	pace      project.Pace // paces the search for open payments
}

// Live reports whether the keys are live keys of Stripe, with which shoppers really pay.
func (s *Service) Live() bool { return s.livemode }

// New returns the domain, or an error that names the field of the configuration that is wrong.
func New(config Config) (*Service, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	live, err := livemode("SecretKey", config.SecretKey, "sk", "rk")
	if err != nil {
		return nil, err
	}
	waits, err := api.NewStreams(config.Waits)
	if err != nil {
		return nil, fmt.Errorf("payments: Config.Waits: %w", err)
	}
	secrets, err := lru.New[string, string](maxSecrets)
	if err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	parsed, err := lru.New[parsedKey, Intent](maxParsed)
	if err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	refused, err := lru.New[string, struct{}](maxRefusals)
	if err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	counts := newMetrics(config.Registerer)
	s := &Service{config: config, log: config.Log, logger: config.Logger, gateway: config.Gateway, livemode: live,
		hub: newHub(), index: newIndex(config.Logger), metrics: counts, secrets: secrets, parsed: parsed, refused: refused, cursor: newCursor(),
		passed: passedWebhooks{counts: counts.webhooks, logger: config.Logger, results: map[string]passedResult{}}, waits: waits}
	s.measureDisputes(config.Registerer)
	if s.gateway == nil {
		s.gateway = newStripeGateway(stripeOptions{key: config.SecretKey, base: config.StripeAPIBase, rate: config.StripeRate, now: config.Log.Now, logger: config.Logger})
	}
	return s, nil
}
