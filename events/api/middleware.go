package api

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Mux is a mux that remembers its routes, so that each of them is counted from the start.
type Mux struct {
	*http.ServeMux
	routes []string
}

// NewMux returns a mux without routes.
func NewMux() *Mux { return &Mux{ServeMux: http.NewServeMux()} }

// Handle registers the handler of a route.
func (m *Mux) Handle(pattern string, handler http.Handler) {
	m.routes = append(m.routes, pattern)
	m.ServeMux.Handle(pattern, handler)
}

// HandleFunc registers the function that handles a route.
func (m *Mux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, http.HandlerFunc(handler))
}

// Wrap puts around a handler what every request gets: a panic answers 500, with a problem document like every error, and
// is logged; time and status are counted by route (never by path, which holds ids). mux has all its routes by then.
func Wrap(next http.Handler, mux *Mux, logger *slog.Logger, registerer prometheus.Registerer) http.Handler {
	count := newRequests(mux.routes, registerer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		_, route := mux.Handler(r)
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				logger.Error("panic while serving", "route", route, "panic", p, "stack", string(debug.Stack()))
				if !rec.wrote {
					refuse(rec, http.StatusInternalServerError, "something went wrong on our side")
				}
			}
			count.answered(route, rec.status, time.Since(started))
		}()
		next.ServeHTTP(rec, r)
	})
}

// requests are the metrics of what was asked and answered.
type requests struct {
	answers *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// statuses are the answers that are counted by their own code: those that the programs give. Any other is counted by its class.
var statuses = []int{http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusNotModified, http.StatusBadRequest, http.StatusUnauthorized,
	http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusConflict,
	http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// unrouted requests, for which the mux has no route, are counted under no name.
const noRoute = ""

// newRequests has every counter there from the start, at 0: Prometheus sees no increase in a counter that begins at 1, and the
// first failure would go unnoticed.
func newRequests(routes []string, registerer prometheus.Registerer) *requests {
	c := &requests{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tillstream_http_requests_total",
			Help: "Requests that were answered, by route and status."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tillstream_http_request_seconds",
			Help: "Time to answer, by route.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"route"})}
	for _, route := range append([]string{noRoute}, routes...) {
		c.seconds.WithLabelValues(route)
		for _, status := range statuses {
			c.answers.WithLabelValues(route, strconv.Itoa(status))
		}
		for class := 1; class <= 5; class++ {
			c.answers.WithLabelValues(route, classOf(100*class))
		}
	}
	registerer.MustRegister(c.answers, c.seconds)
	return c
}

func (c *requests) answered(route string, status int, took time.Duration) {
	label := classOf(status)
	if slices.Contains(statuses, status) {
		label = strconv.Itoa(status)
	}
	c.answers.WithLabelValues(route, label).Inc()
	c.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// classOf is the class of a status, such as 4xx.
func classOf(status int) string { return strconv.Itoa(min(max(status/100, 1), 5)) + "xx" }

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (r *recorder) WriteHeader(status int) {
	if !r.wrote {
		r.status, r.wrote = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(p)
}

// Flush lets event streams through.
func (r *recorder) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
