package sandbox

import (
	"crypto/subtle"
	"errors"
	"mime"
	"net/http"
	"net/url"
)

// maxRequestBody bounds a request body. Forms of the Stripe client are far smaller.
const maxRequestBody = 256 << 10

// call is one API request.
type call struct {
	id     string
	method string
	path   string
	target string // the {id} of the path
	base   string // the sandbox's address for links
	form   form
	key    string      // idempotency key
	hash   fingerprint // of method, path and form
	public bool        // sent with the publishable key
}

// operation is the work of a route: it reads and changes objects in a transaction and returns the object to answer with.
type operation func(t *tx, c *call) (any, *apiError)

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
	if len(c.key) > maxKeyLength {
		return c, invalid("", "", "Idempotency-Key may have up to %d characters.", maxKeyLength)
	}
	if c.key != "" {
		c.hash = fingerprintOf(c.method, c.path, c.form)
	}
	return c, nil
}

func readValues(w http.ResponseWriter, r *http.Request) (url.Values, *apiError) {
	if contentType := r.Header.Get("Content-Type"); r.Method == http.MethodPost && contentType != "" {
		if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/x-www-form-urlencoded" {
			return nil, invalid("", "", "Invalid request (check that your POST content type is application/x-www-form-urlencoded).")
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
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

// authenticate accepts the secret key on every route and the publishable key on the routes of a shopper's browser.
func (s *Server) authenticate(r *http.Request, c *call, shopper bool) *apiError {
	key := presentedKey(r, c.form)
	switch {
	case key == "":
		return unauthorized("", "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth.")
	case equal(key, s.config.SecretKey):
		return nil
	case !equal(key, s.config.PublishableKey):
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

func equal(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// baseURL returns the prefix of links to the sandbox.
func (s *Server) baseURL(r *http.Request) string {
	if s.config.BaseURL != "" {
		return s.config.BaseURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
