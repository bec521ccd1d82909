package sandbox

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
)

// largestRequest is far above what any honest form needs.
const largestRequest = 256 << 10

// call is one API request: who asks, what for, under which key.
type call struct {
	id     string
	method string
	path   string
	target string // the {id} of the path
	base   string // where the caller reaches the sandbox
	form   form
	key    string
	print  fingerprint
	public bool // asked with the publishable key
}

// operation is the work of a route: it reads and changes objects in a
// transaction and returns what to show.
type operation func(t *tx, c *call) (any, *apiError)

// reply is an answer and whether it was given before.
type reply struct {
	Answer
	replayed bool
}

// readCall authenticates and decodes a request.
func (s *Server) readCall(w http.ResponseWriter, r *http.Request, route route) (*call, *apiError) {
	c := &call{id: newRequestID(), method: r.Method, path: r.URL.Path, target: r.PathValue("id"), base: s.baseURL(r)}
	values, problem := readValues(w, r)
	if problem != nil {
		return c, problem
	}
	c.form = parseForm(values)
	if problem := s.authenticate(r, c, route.shopper); problem != nil {
		return c, problem
	}
	delete(c.form, "key")
	if problem := c.form.allow(route.params...); problem != nil {
		return c, problem
	}
	for _, property := range c.form.list("expand") {
		if property != "latest_charge" && property != "data.latest_charge" {
			return c, invalid("expand", "", "The sandbox cannot expand: %s", property)
		}
	}
	if r.Method != http.MethodPost {
		return c, nil
	}
	c.key = r.Header.Get("Idempotency-Key")
	if len(c.key) > longestKey {
		return c, invalid("", "", "Idempotency-Key may have up to %d characters.", longestKey)
	}
	if c.key != "" {
		c.print = fingerprintOf(c.method, c.path, c.form)
	}
	return c, nil
}

func readValues(w http.ResponseWriter, r *http.Request) (url.Values, *apiError) {
	if kind := r.Header.Get("Content-Type"); r.Method == http.MethodPost && kind != "" {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/x-www-form-urlencoded" {
			return nil, invalid("", "", "Invalid request (check that your POST content type is application/x-www-form-urlencoded).")
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, largestRequest)
	err := r.ParseForm()
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		problem := invalid("", "", "Request body is larger than %d bytes.", tooLarge.Limit)
		problem.status = http.StatusRequestEntityTooLarge
		return nil, problem
	}
	if err != nil {
		return nil, invalid("", "", "Invalid request: the form cannot be read.")
	}
	return r.Form, nil
}

// authenticate accepts the secret key for everything and the publishable key
// where a shopper's browser has business.
func (s *Server) authenticate(r *http.Request, c *call, shopper bool) *apiError {
	key := presentedKey(r, c.form)
	switch {
	case key == "":
		return unauthorized("", "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth.")
	case same(key, s.config.SecretKey):
		return nil
	case !same(key, s.config.PublishableKey):
		return unauthorized("api_key_invalid", "Invalid API Key provided.")
	case !shopper:
		return unauthorized("secret_key_required", "This API call cannot be made with a publishable API key. Please use a secret API key.")
	case c.form["client_secret"] == "":
		return missing("client_secret")
	}
	c.public = true
	return nil
}

func presentedKey(r *http.Request, f form) string {
	header := r.Header.Get("Authorization")
	if user, _, ok := r.BasicAuth(); ok {
		return user
	}
	const scheme = "Bearer "
	if len(header) > len(scheme) && header[:len(scheme)] == scheme {
		return header[len(scheme):]
	}
	return f["key"]
}

func same(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// baseURL is where links back to the sandbox have to lead.
func (s *Server) baseURL(r *http.Request) string {
	if s.config.BaseURL != "" {
		return s.config.BaseURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// intercepted runs the work inside the configured interceptor and keeps what
// the interceptor made of the answer.
func (s *Server) intercepted(ctx context.Context, c *call, op operation) Answer {
	var own *Answer
	work := func() Answer {
		if own == nil {
			a := s.work(c, op)
			own = &a
		}
		return *own
	}
	request := Request{ID: c.id, Method: c.method, Path: c.path, IdempotencyKey: c.key}
	given := s.config.Intercept(ctx, request, work)
	altered := own == nil && given.Status >= http.StatusInternalServerError ||
		own != nil && (own.Status != given.Status || !bytes.Equal(own.Body, given.Body))
	if altered && c.key != "" {
		// A process that dies between the work and here replays the work's own
		// answer, which is the truth.
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.begin(c)
		t.keepAnswer(given.Status, given.Body, span{})
		if err := t.commit(); err != nil {
			return s.refused(c, t.broken(err))
		}
	}
	return given
}

// work performs the operation and commits what it changed together with the
// answer that its key will replay.
func (s *Server) work(c *call, op operation) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(c)
	shown, problem := op(t, c)
	if t.err != nil {
		return s.refused(c, t.broken(t.err))
	}
	if problem != nil {
		a := s.refused(c, problem)
		if c.key != "" && !problem.unkept {
			t.keepAnswer(a.Status, a.Body, span{})
		}
		return t.settle(a)
	}
	body, known, err := c.show(t, shown)
	if err != nil {
		return s.refused(c, t.broken(err))
	}
	if c.key != "" {
		t.keepAnswer(http.StatusOK, body, known)
	}
	return t.settle(Answer{Status: http.StatusOK, Body: body})
}

func (t *tx) settle(a Answer) Answer {
	if err := t.commit(); err != nil {
		return t.server.refused(t.call, t.broken(err))
	}
	return a
}

// refused encodes a problem, with the intent it concerns as the caller may see it.
func (s *Server) refused(c *call, problem *apiError) Answer {
	if problem.intent != nil {
		problem.PaymentIntent = c.view(problem.intent)
	}
	body, err := problem.body()
	if err != nil {
		s.config.Logger.Error("encode sandbox error", "request", c.id, "error", err)
		return Answer{Status: http.StatusInternalServerError, Body: []byte(`{"error":{"type":"api_error","message":"error cannot be encoded"}}`)}
	}
	return Answer{Status: problem.status, Body: body}
}

// write sends the reply.
func (c *call) write(w http.ResponseWriter, r reply) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(r.Body)))
	h.Set("Cache-Control", "no-store")
	h.Set("Request-Id", c.id)
	h.Set("Stripe-Version", APIVersion)
	if c.key != "" {
		h.Set("Idempotency-Key", c.key)
	}
	if r.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	w.WriteHeader(r.Status)
	_, err := w.Write(r.Body)
	return err
}

// show encodes what an operation returned. An object that the transaction has
// just put is in the journal's buffer already: then its span is returned too.
func (c *call) show(t *tx, v any) (body []byte, known span, err error) {
	if in, ok := v.(*intent); ok && (c.public || c.expands("latest_charge")) {
		v = c.expanded(t, in)
	}
	if body, known, ok := t.state(v); ok {
		return body, known, nil
	}
	body, err = json.Marshal(v)
	return body, span{}, err
}

func newRequestID() string { return "req_" + randomText(14) }
