package sandbox

import (
	"context"
	"net/http"
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.routes.ServeHTTP(w, r) }

// route is one operation of the API.
type route struct {
	pattern string
	op      operation
	params  []string
	shopper bool // a shopper's browser may call it from any origin
}

var apiRoutes = []route{
	{"GET /v1/account", getAccount, []string{"expand"}, false},
	{"GET /v1/balance", getBalance, []string{"expand"}, false},
	{"GET /v1/balance_transactions", listBalanceTransactions, balanceListParams, false},
	{"GET /v1/balance_transactions/{id}", getBalanceTransaction, []string{"expand"}, false},
	{"GET /v1/charges/{id}", getCharge, []string{"expand"}, false},
	{"GET /v1/disputes", listDisputes, disputeListParams, false},
	{"GET /v1/disputes/{id}", getDispute, []string{"expand"}, false},
	{"POST /v1/disputes/{id}", updateDispute, disputeUpdateParams, false},
	{"POST /v1/disputes/{id}/close", closeDispute, []string{"expand"}, false},
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
	{"GET /v1/payouts", listPayouts, payoutListParams, false},
	{"GET /v1/payouts/{id}", getPayout, []string{"expand"}, false},
	{"GET /v1/refunds", listRefunds, refundListParams, false},
	{"POST /v1/refunds", createRefund, refundParams, false},
	{"GET /v1/refunds/{id}", getRefund, []string{"expand"}, false},
	{"POST /v1/refunds/{id}/cancel", cancelRefund, []string{"expand"}, false},
	{"POST /v1/refunds/{id}", updateRefund, refundUpdateParams, false},
	{"GET /v1/webhook_endpoints", listEndpoints, pageParams, false},
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
	s.controlRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c := &call{id: newRequestID()}
		s.send(w, c, reply{Answer: s.refused(c, unknownRoute(r))})
	})
	return mux
}

// api serves one route.
func (s *Server) api(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route.shopper {
			allowAnyOrigin(w)
		}
		c, problem := s.readCall(w, r, route)
		if problem != nil {
			s.send(w, c, reply{Answer: s.refused(c, problem)})
			return
		}
		// As at Stripe, the work continues when the client disconnects.
		answer, lost := s.faulty(context.WithoutCancel(r.Context()), c, route.op)
		s.settle()
		if lost {
			s.hangUp(w, r)
			return
		}
		s.send(w, c, answer)
	})
}

func (s *Server) send(w http.ResponseWriter, c *call, r reply) {
	if err := c.write(w, r); err != nil {
		s.config.Logger.Debug("send sandbox answer", "request", c.id, "error", err)
	}
}

// allowAnyOrigin allows scripts of any origin, because the shop's page has another one. The client secret protects the intent.
func allowAnyOrigin(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Request-Id, Idempotent-Replayed")
}

// preflight answers a browser's CORS preflight request.
func preflight(w http.ResponseWriter, _ *http.Request) {
	allowAnyOrigin(w)
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Stripe-Version")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
