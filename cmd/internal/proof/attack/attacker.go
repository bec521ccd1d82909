package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// attacker is one stranger. Its methods are called by one goroutine.
type attacker struct {
	config  Config
	address string
	random  *rand.Rand
	result  *result
	http    *http.Client

	order   order       // of attacks on one order
	payment payment     // of that order
	held    []io.Closer // streams that stay open
}

// patience is how long an attacker waits for an answer. Every request of a stranger must be answered or cut off by then.
const patience = 40 * time.Second

func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.DisableCompression = nil, true
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: noRedirects}
}

func (a *attacker) close() {
	for _, stream := range a.held {
		_ = stream.Close() // it was only read
	}
	a.http.CloseIdleConnections()
}

// one returns one of several values.
func one[T any](a *attacker, values ...T) T { return values[a.random.IntN(len(values))] }

// request returns a request to the shop with a body of JSON, as a shopper's browser sends it.
func (a *attacker) request(ctx context.Context, method, path string, body []byte) *http.Request {
	return a.requestTo(ctx, method, a.config.Storefront+path, body)
}

func (a *attacker) requestTo(ctx context.Context, method, address string, body []byte) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		panic(err) // a programming error: every path is made here
	}
	r.Header.Set("X-Forwarded-For", a.address)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// send sends a request, records the answer, and decodes it into v if it is one of success; v may be nil.
func (a *attacker) send(r *http.Request, v any) (status int) {
	response, err := a.http.Do(r)
	if err != nil {
		a.result.unanswered(r.Context(), err)
		return 0
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		a.result.unanswered(r.Context(), err)
		return 0
	}
	what := r.Method + " " + r.URL.Path
	a.result.answered(what, response.StatusCode, response.Header)
	if v != nil && response.StatusCode/100 == 2 {
		if err := json.Unmarshal(body, v); err != nil {
			a.result.breaks("%s: the answer is not JSON: %v", what, err)
		}
	}
	return response.StatusCode
}

// text returns n random characters of an alphabet.
func (a *attacker) text(n int, alphabet string) string {
	letters := make([]byte, n)
	for i := range letters {
		letters[i] = alphabet[a.random.IntN(len(alphabet))]
	}
	return string(letters)
}

const (
	hexDigits = "0123456789abcdef"
	base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// uuid returns a random id in the form of an order's.
func (a *attacker) uuid() string {
	return fmt.Sprintf("%s-%s-7%s-8%s-%s", a.text(8, hexDigits), a.text(4, hexDigits), a.text(3, hexDigits), a.text(3, hexDigits), a.text(12, hexDigits))
}

func number(n int) string { return strconv.Itoa(n) }
