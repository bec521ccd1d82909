package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// pickFault returns the fault of a request. Every request draws for the same faults in the same order.
func (s *Server) pickFault(c *call) string {
	if c.public {
		return ""
	}
	names := []string{faultTimeoutBefore, faultTimeoutAfter, faultRateLimited, faultServerError}
	if c.key != "" {
		names = append(names, faultConflict, faultStored500, faultStoredAfter)
	}
	if strings.HasSuffix(c.path, "/search") {
		names = append(names, faultSearchRefused)
	}
	return s.faults.pick(names...)
}

// faulty executes a request with the fault that hits it. With lost set there is no answer.
func (s *Server) faulty(ctx context.Context, c *call, op operation) (r reply, lost bool) {
	fault := s.pickFault(c)
	problem := refusalBy(fault, c)
	switch {
	case problem != nil:
		return reply{Answer: s.refused(c, problem)}, false
	case fault == faultTimeoutBefore:
		return reply{}, true
	case fault == faultStored500:
		c.stored500, c.workFirst = true, s.faults.number(faultStored500, 2) == 1
	case fault == faultStoredAfter:
		c.stored500, c.workFirst = true, true
	}
	return s.once(ctx, c, op), fault == faultTimeoutAfter
}

// refusalBy returns the answer of a fault that refuses a request before any work; none is stored under the idempotency key.
func refusalBy(fault string, c *call) *apiError {
	switch fault {
	case faultRateLimited:
		return &apiError{
			Type: typeRequest, Code: "rate_limit", DocURL: docURL("rate_limit"), status: http.StatusTooManyRequests, unstored: true,
			Message: "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
		}
	case faultServerError:
		return serverError(c)
	case faultConflict:
		return keyInUse(c.key)
	case faultSearchRefused:
		return invalid("", "", "The search feature is temporarily unavailable in your region. Please use the list APIs instead.")
	}
	return nil
}

func serverError(c *call) *apiError {
	return &apiError{
		Type: typeAPI, status: http.StatusInternalServerError, unstored: true,
		Message: fmt.Sprintf("Sorry, there was a problem with your request. We've already been notified of the problem, but if you need immediate help, please contact us. (Request %s)", c.id),
	}
}

// answer500 is the interceptor of requests that are answered with 500, with the work done or not.
func (s *Server) answer500(c *call, work func() Answer) Answer {
	if c.workFirst {
		work()
	}
	return s.refused(c, serverError(c))
}

// hangUp keeps the connection open without an answer, until the client gives up or the time is over, and then closes it.
func (s *Server) hangUp(w http.ResponseWriter, r *http.Request) {
	timer := time.NewTimer(time.Duration(s.Faults().Requests.Hold))
	defer timer.Stop()
	select {
	case <-r.Context().Done():
	case <-timer.C:
	}
	// The error is of the response writers that cannot be hijacked, those of HTTP/2 and of tests.
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if err := connection.Close(); err != nil {
			s.config.Logger.Debug("close connection", "error", err)
		}
		return
	}
	panic(http.ErrAbortHandler) // net/http's way to end a request without an answer
}

// altered reports whether the answer is not that of the work, nil if it was not done.
func altered(done *Answer, answer Answer) bool {
	if done == nil {
		return answer.Status >= http.StatusInternalServerError
	}
	return done.Status != answer.Status || !bytes.Equal(done.Body, answer.Body)
}
