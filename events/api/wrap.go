package api

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Wrap returns a handler that logs a panic of next and answers it with a problem document, and that counts time and status by
// route (not by path, which holds ids). Every answer gets the headers of [secure], and a client that does not read its answer is
// disconnected. All routes must be registered on mux before.
func Wrap(next http.Handler, mux *Mux, logger *slog.Logger, registerer prometheus.Registerer) http.Handler {
	return Wrapper(mux, logger, registerer)(next)
}

// Wrapper returns [Wrap] for several handlers that share the routes and the counters of one process, such as those of two listeners.
func Wrapper(mux *Mux, logger *slog.Logger, registerer prometheus.Registerer) func(next http.Handler) http.Handler {
	count := newRequests(mux.routes, registerer)
	return func(next http.Handler) http.Handler { return wrap(next, mux, logger, count) }
}

func wrap(next http.Handler, mux *Mux, logger *slog.Logger, count *requests) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		_, route := mux.Handler(r)
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		rec.limitWriting(time.Time{}) // the deadline of the previous answer on this connection
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				logger.Error("request panicked", "route", route, "panic", p, "stack", string(debug.Stack()))
				if !rec.wrote {
					WriteProblem(rec, http.StatusInternalServerError, detailInternal)
				}
			}
			if !rec.wrote {
				rec.WriteHeader(http.StatusOK) // an empty answer
			}
			count.observe(route, rec.status, time.Since(started))
		}()
		next.ServeHTTP(rec, r)
	})
}

// requests are the metrics of HTTP requests.
type requests struct {
	answers *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// statuses are the statuses that the programs answer with; each has a counter. Others, which a client can provoke, are counted
// by class, so that they add no series.
var statuses = []int{http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusNotModified, http.StatusBadRequest, http.StatusUnauthorized,
	http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusConflict,
	http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// noRoute is the label of requests for which the mux has no route.
const noRoute = ""

// newRequests creates every counter at 0. Prometheus sees no increase in a counter that begins at 1, and would miss the first
// failure.
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

func (c *requests) observe(route string, status int, took time.Duration) {
	label := classOf(status)
	if slices.Contains(statuses, status) {
		label = strconv.Itoa(status)
	}
	c.answers.WithLabelValues(route, label).Inc()
	c.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// classOf is the class of a status, such as 4xx.
func classOf(status int) string { return strconv.Itoa(min(max(status/100, 1), 5)) + "xx" }

// writeTimeout is how long a client may take to receive one part of an answer, such as one event of a stream. Without it, a client
// that stops reading would hold its stream for ever.
const writeTimeout = 30 * time.Second

// recorder records the status of the answer, completes its headers and limits the time to send it.
type recorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (r *recorder) WriteHeader(status int) {
	if !r.wrote && status >= http.StatusOK { // others are followed by the answer
		r.status, r.wrote = status, true
		secure(r.Header())
		r.limitWriting(time.Now().Add(writeTimeout))
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if !r.wrote {
		r.WriteHeader(http.StatusOK)
	}
	r.limitWriting(time.Now().Add(writeTimeout))
	return r.ResponseWriter.Write(p)
}

// limitWriting sets the deadline of the connection. A writer without a connection, as in tests, has none.
func (r *recorder) limitWriting(until time.Time) {
	_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(until)
}

// Flush implements http.Flusher, for event streams.
func (r *recorder) Flush() {
	if !r.wrote {
		r.WriteHeader(http.StatusOK)
	}
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap lets http.ResponseController find the writer.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// secure completes the headers of an answer. Unless its handler says otherwise, no cache stores it: it may have an order, a
// payment or the reason of a refusal. No browser takes it for anything else than its Content-Type says.
func secure(header http.Header) {
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	header.Set("X-Content-Type-Options", "nosniff")
}

// hstsYear has browsers use https for a year, as hstspreload.org asks for.
const hstsYear = "max-age=31536000"

// RequireTLS tells browsers to use only https (RFC 6797), if publicURL is an https address: then a proxy in front of this
// process terminates TLS. Otherwise it returns next.
func RequireTLS(publicURL string, next http.Handler) http.Handler {
	if u, err := url.Parse(publicURL); err != nil || u.Scheme != "https" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", hstsYear)
		next.ServeHTTP(w, r)
	})
}
