package sandbox

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// Server is a sandbox: an http.Handler that answers like Stripe's API. Run
// delivers its webhooks.
type Server struct {
	config     Config
	routes     *http.ServeMux
	webhookURL atomic.Pointer[string]

	// One lock guards everything below. What is done under it takes
	// microseconds: decide, encode, hand one write to the operating system.
	mu        sync.Mutex
	journal   *journal
	intents   *shelf[intent]
	charges   *shelf[charge]
	refunds   *shelf[refund]
	events    eventLog
	keys      keyring
	metadata  metadataIndex
	refundsOf map[string][]int // places of a charge's or an intent's refunds
	funds     map[string]int64 // captured less refunded, by currency
}

// New starts a sandbox from what its journal holds. It returns ErrJournal when
// the journal cannot be understood.
func New(config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	journal, err := openJournal(config.DataDir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: config, journal: journal,
		intents: newShelf(journal, lineIntent, decodeIntent), charges: newShelf(journal, lineCharge, plain[charge]),
		refunds: newShelf(journal, lineRefund, plain[refund]), refundsOf: make(map[string][]int),
		events:   eventLog{numbers: make(map[string]uint16), out: newOutbox()},
		keys:     newKeyring(),
		metadata: newMetadataIndex(), funds: make(map[string]int64),
	}
	if err := s.restore(); err != nil {
		return nil, errors.Join(err, journal.close())
	}
	if err := s.SetWebhookURL(config.WebhookURL); err != nil {
		return nil, err
	}
	s.routes = s.newRoutes()
	return s, nil
}

// Close lets go of the journal; requests that still come are answered with 500.
// Run has to have returned.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.close()
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.routes.ServeHTTP(w, r) }

// route is one operation of the API.
type route struct {
	pattern string
	op      operation
	params  []string
	shopper bool // a shopper's browser may call it from any page
}

var apiRoutes = []route{
	{"GET /v1/balance", getBalance, []string{"expand"}, false},
	{"GET /v1/charges/{id}", getCharge, []string{"expand"}, false},
	{"GET /v1/events", listEvents, append([]string{"type", "types", "created"}, pageParams...), false},
	{"GET /v1/events/{id}", getEvent, []string{"expand"}, false},
	{"GET /v1/payment_intents", listIntents, append([]string{"created"}, pageParams...), false},
	{"POST /v1/payment_intents", createIntent, createParams, false},
	{"GET /v1/payment_intents/search", searchIntents, searchParams, false},
	{"GET /v1/payment_intents/{id}", getIntent, []string{"client_secret", "expand"}, true},
	{"POST /v1/payment_intents/{id}", updateIntent, updateParams, false},
	{"POST /v1/payment_intents/{id}/cancel", cancelIntent, cancelParams, false},
	{"POST /v1/payment_intents/{id}/capture", captureIntent, captureParams, false},
	{"POST /v1/payment_intents/{id}/confirm", confirmIntent, confirmParams, true},
	{"GET /v1/refunds", listRefunds, refundListParams, false},
	{"POST /v1/refunds", createRefund, refundParams, false},
	{"GET /v1/refunds/{id}", getRefund, []string{"expand"}, false},
	{"POST /v1/refunds/{id}", updateRefund, refundUpdateParams, false},
}

func (s *Server) newRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range apiRoutes {
		mux.Handle(r.pattern, s.api(r))
	}
	mux.HandleFunc("OPTIONS /v1/payment_intents/{id}", preflight)
	mux.HandleFunc("OPTIONS /v1/payment_intents/{id}/confirm", preflight)
	mux.HandleFunc("GET /3ds/{id}", s.showChallenge)
	mux.HandleFunc("POST /3ds/{id}", s.answerChallenge)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c := &call{id: newRequestID()}
		s.send(w, c, reply{Answer: s.refused(c, unknownRoute(r))})
	})
	return mux
}

// api serves one route: authenticate, decode, do once, answer.
func (s *Server) api(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route.shopper {
			allowAnyPage(w)
		}
		c, problem := s.readCall(w, r, route)
		if problem != nil {
			s.send(w, c, reply{Answer: s.refused(c, problem)})
			return
		}
		// The work is not given up when the caller is: a request that was begun
		// ends, as at Stripe.
		s.send(w, c, s.once(context.WithoutCancel(r.Context()), c, route.op))
	})
}

func (s *Server) send(w http.ResponseWriter, c *call, r reply) {
	if err := c.write(w, r); err != nil {
		s.config.Logger.Debug("sandbox answer not taken", "request", c.id, "error", err)
	}
}

// allowAnyPage lets scripts of any origin call: the shop's page lives on
// another one. What protects the intent is its client secret.
func allowAnyPage(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Request-Id, Idempotent-Replayed")
}

// preflight answers a browser that asks before it calls.
func preflight(w http.ResponseWriter, _ *http.Request) {
	allowAnyPage(w)
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Stripe-Version")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

func sortedKeys(m map[string]int64) []string { return slices.Sorted(maps.Keys(m)) }
