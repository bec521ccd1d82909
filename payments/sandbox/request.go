package sandbox

import (
	"crypto/subtle"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
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

	// The fault stored_500 hits the request, after its work with workFirst.
	stored500, workFirst bool
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
	if c.public && c.expandsMore() {
		return c, invalid("expand", "", "This property cannot be expanded with a publishable key.")
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

// form is a decoded request. Names keep their brackets, as in metadata[order_id] or payment_method_data[card][number]. If a
// name is sent twice, the last value counts.
type form map[string]string

// parseForm numbers the items of unnumbered arrays such as types[].
func parseForm(values url.Values) form {
	f := make(form, len(values))
	for name, list := range values {
		array, unnumbered := strings.CutSuffix(name, "[]")
		if !unnumbered {
			f[name] = list[len(list)-1]
			continue
		}
		for i, item := range list {
			f[array+"["+strconv.Itoa(i)+"]"] = item
		}
	}
	return f
}

// baseName returns the parameter's name without its brackets.
func baseName(name string) string {
	head, _, _ := strings.Cut(name, "[")
	return head
}

// allow refuses unknown parameters, as Stripe does. Otherwise a misspelt one would have no effect and no error.
func (f form) allow(known ...string) *apiError {
	for name := range f {
		if !slices.Contains(known, baseName(name)) {
			return invalid(name, "parameter_unknown", "Received unknown parameter: %s", name)
		}
	}
	return nil
}

// has reports whether the parameter was sent, even if empty.
func (f form) has(name string) bool {
	_, ok := f[name]
	return ok
}

// hasNested reports whether any parameter below name[...] was sent.
func (f form) hasNested(name string) bool {
	for key := range f {
		if strings.HasPrefix(key, name+"[") {
			return true
		}
	}
	return false
}

// integer reads a whole number; ok is false when the parameter was not sent.
func (f form) integer(name string) (n int64, ok bool, problem *apiError) {
	text, ok := f[name]
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, true, invalid(name, "parameter_invalid_integer", "Invalid integer: %s", text)
	}
	return n, true, nil
}

// boolean reads true or false; absent is false.
func (f form) boolean(name string) (bool, *apiError) {
	switch f[name] {
	case "":
		return false, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, invalid(name, "", "Invalid boolean: %s", f[name])
}

// oneOf reads one of the words; absent is the first of them.
func (f form) oneOf(name string, words ...string) (string, *apiError) {
	word, ok := f[name]
	if !ok {
		return words[0], nil
	}
	if word == "" || !slices.Contains(words, word) {
		return "", invalid(name, "", "Invalid %s: must be one of %s", name, strings.Join(words, ", "))
	}
	return word, nil
}

// list reads an array in the order of its indexes.
func (f form) list(name string) []string {
	type item struct {
		index int
		value string
	}
	var items []item
	for key, value := range f {
		inner, ok := strings.CutPrefix(key, name+"[")
		if !ok || !strings.HasSuffix(inner, "]") {
			continue
		}
		if index, err := strconv.Atoi(strings.TrimSuffix(inner, "]")); err == nil {
			items = append(items, item{index, value})
		}
	}
	sort.Slice(items, func(a, b int) bool { return items[a].index < items[b].index })
	values := make([]string, len(items))
	for i, it := range items {
		values[i] = it.value
	}
	return values
}

// Stripe's limits on metadata.
const (
	maxMetadataPairs = 50
	maxMetadataKey   = 40
	maxMetadataValue = 500
)

// metadata merges the request's metadata with an object's: an empty value removes the key, metadata sent as an empty string
// removes all. The old map is not changed, because older states of the object have it.
func (f form) metadata(old map[string]string) (map[string]string, *apiError) {
	merged := make(map[string]string, len(old)+2)
	if !f.has("metadata") {
		for key, value := range old {
			merged[key] = value
		}
	}
	for name, value := range f {
		inner, ok := strings.CutPrefix(name, "metadata[")
		if !ok {
			continue
		}
		key, closed := strings.CutSuffix(inner, "]")
		if problem := checkMetadata(name, key, value, closed); problem != nil {
			return nil, problem
		}
		merged[key] = value
		if value == "" {
			delete(merged, key)
		}
	}
	if len(merged) > maxMetadataPairs {
		return nil, invalid("metadata", "", "Metadata can have up to %d keys.", maxMetadataPairs)
	}
	return merged, nil
}

func checkMetadata(name, key, value string, closed bool) *apiError {
	switch {
	case !closed || key == "" || strings.ContainsAny(key, "[]"):
		return invalid(name, "", "Invalid metadata: nested values are not allowed.")
	case len(key) > maxMetadataKey:
		return invalid(name, "", "Metadata keys can have up to %d characters.", maxMetadataKey)
	case len(value) > maxMetadataValue:
		return invalid(name, "", "Metadata values can have up to %d characters.", maxMetadataValue)
	}
	return nil
}
