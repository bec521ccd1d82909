package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tillstream/events/embedded/journal"
)

// keyLifetime is how long Stripe stores an idempotency key.
const keyLifetime = 24 * time.Hour

// maxKeyLength is Stripe's limit on the length of a key.
const maxKeyLength = 255

// fingerprint distinguishes requests with the same key.
type fingerprint [16]byte

// storedAnswer is the answer under a key.
type storedAnswer struct {
	request fingerprint
	created int64
	status  int
	body    []byte
}

// answerNote is the note of an answer in the journal. The body is the data of this line or of an earlier line in the same
// transaction. A body with line breaks is in the note.
type answerNote struct {
	Request []byte `json:"print"`
	Created int64  `json:"created"`
	Status  int    `json:"status"`
	At      int64  `json:"at"`
	Size    int32  `json:"size"`
	Raw     []byte `json:"raw,omitempty"`
}

// expired reports whether an answer is too old to be replayed.
func expired(created int64, now time.Time) bool { return created <= now.Add(-keyLifetime).Unix() }

// idempotencyKeys has the keys of the requests in progress, and the positions of the transactions with the answers of the last
// day. It is guarded by the server's lock.
type idempotencyKeys struct {
	running map[string]fingerprint

	// Positions by the hash of the key. Once a day recent becomes old, and the old map is dropped.
	recent, old map[uint64]int64
	since       time.Time // when recent was made
}

func newIdempotencyKeys() idempotencyKeys {
	return idempotencyKeys{running: make(map[string]fingerprint), recent: make(map[uint64]int64)}
}

// start registers a request under its key. It refuses the request if another one with this key is in progress.
func (k *idempotencyKeys) start(key string, request fingerprint) *apiError {
	other, ok := k.running[key]
	switch {
	case !ok:
		k.running[key] = request
		return nil
	case other != request:
		return otherRequest(key)
	}
	return keyInUse(key)
}

// keyInUse refuses a request while another one with its key is in progress.
func keyInUse(key string) *apiError {
	return &apiError{
		Type: typeIdempotency, Code: "idempotency_key_in_use", status: http.StatusConflict, unstored: true,
		Message: fmt.Sprintf("There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): %s. Please try again when the other request completes.", key),
	}
}

// otherRequest refuses a request whose key was used with other parameters.
func otherRequest(key string) *apiError {
	return &apiError{
		Type: typeIdempotency, status: http.StatusBadRequest,
		Message: fmt.Sprintf("Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.", key),
	}
}

// end removes the key of a request in progress.
func (k *idempotencyKeys) end(key string) { delete(k.running, key) }

// put records which transaction has the answer under a key.
func (k *idempotencyKeys) put(key string, at int64, now time.Time) {
	if now.Sub(k.since) >= keyLifetime {
		k.recent, k.old, k.since = make(map[uint64]int64), k.recent, now
	}
	k.recent[hashOf(key)] = at
}

// find returns the transaction that may have the answer under a key.
func (k *idempotencyKeys) find(key string) (at int64, ok bool) {
	hash := hashOf(key)
	if at, ok = k.recent[hash]; !ok {
		at, ok = k.old[hash]
	}
	return at, ok
}

// putAnswer stores the answer under the request's key, in the transaction of the request's changes.
func (t *tx) putAnswer(status int, body []byte, known span) {
	key := t.call.key
	note := answerNote{Request: t.call.hash[:], Created: t.now.Unix(), Status: status, At: known.at, Size: known.size}
	switch {
	case known.size > 0:
		body = nil
	case bytes.IndexByte(body, '\n') >= 0: // from an interceptor
		note.Raw, body = body, nil
	}
	t.line(lineAnswer, key, note, body)
	t.installs = append(t.installs, func(at int64) { t.server.keys.put(key, at, t.now) })
}

// answerTo returns the answer under a key, nil if there is none or it has expired.
func (s *Server) answerTo(key string) (*storedAnswer, error) {
	at, ok := s.keys.find(key)
	if !ok {
		return nil, nil
	}
	written, err := s.readRecord(at)
	if err != nil {
		return nil, err
	}
	l, err := written.last(func(l line) bool { return l.kind == lineAnswer })
	if err == nil && string(l.id) != key {
		return nil, nil // another key with the same hash
	}
	var a *storedAnswer
	if err == nil {
		a, err = written.answer(l)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: answer in the transaction at %d: %w", journal.ErrDamaged, at, err)
	}
	if expired(a.created, s.now()) {
		return nil, nil
	}
	return a, nil
}

// answer decodes a line of the record.
func (r record) answer(l line) (*storedAnswer, error) {
	var note answerNote
	if err := json.Unmarshal(l.note, &note); err != nil {
		return nil, err
	}
	a := &storedAnswer{created: note.Created, status: note.Status, body: l.data}
	if copy(a.request[:], note.Request) != len(a.request) {
		return nil, fmt.Errorf("fingerprint has %d bytes", len(note.Request))
	}
	var err error
	switch {
	case note.Raw != nil:
		a.body = note.Raw
	case note.Size > 0:
		a.body, err = r.part(note.At, note.Size)
	}
	return a, err
}

// start registers a request under its key, or returns the answer that the key already has.
func (s *Server) start(c *call) (stored *storedAnswer, problem *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, err := s.answerTo(c.key)
	switch {
	case err != nil:
		s.config.Logger.Error("read idempotent answer", "request", c.id, "error", err)
		return nil, internalError()
	case stored == nil:
		return nil, s.keys.start(c.key, c.hash)
	case stored.request != c.hash:
		return nil, otherRequest(c.key)
	}
	return stored, nil
}

// once executes a request, unless an answer is stored under its key.
func (s *Server) once(ctx context.Context, c *call, op operation) reply {
	if c.key == "" {
		return reply{Answer: s.intercepted(ctx, c, op)}
	}
	stored, problem := s.start(c)
	if problem != nil {
		return reply{Answer: s.refused(c, problem)}
	}
	if stored != nil {
		return reply{Answer: Answer{Status: stored.status, Body: stored.body}, replayed: true}
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keys.end(c.key)
	}()
	return reply{Answer: s.intercepted(ctx, c, op)}
}

// fingerprintOf hashes method, path and parameters. It hashes only the last four digits of a card number or an IBAN, because the whole
// number could be found by trying all of them.
func fingerprintOf(method, path string, f form) fingerprint {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	hash := sha256.New()
	write := func(part string) {
		hash.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(part))))
		hash.Write([]byte(part))
	}
	write(method)
	write(path)
	for _, name := range names {
		write(name)
		write(withoutCardData(name, f[name]))
	}
	return fingerprint(hash.Sum(nil)[:16])
}

func withoutCardData(name, value string) string {
	switch {
	case strings.HasSuffix(name, "[number]"), strings.HasSuffix(name, "[iban]"):
		return value[max(0, len(value)-4):]
	case strings.HasSuffix(name, "[cvc]"):
		return ""
	}
	return value
}

// intercepted executes a request inside the configured interceptor, and stores the interceptor's answer under the key.
func (s *Server) intercepted(ctx context.Context, c *call, op operation) Answer {
	var done *Answer
	work := func() Answer {
		if done == nil {
			a := s.work(c, op)
			done = &a
		}
		return *done
	}
	request := Request{ID: c.id, Method: c.method, Path: c.path, IdempotencyKey: c.key}
	intercept := s.config.Intercept
	if c.stored500 {
		intercept = func(context.Context, Request, func() Answer) Answer { return s.answer500(c, work) }
	}
	answer := intercept(ctx, request, work)
	if c.key != "" && altered(done, answer) {
		// If the process is killed before this commit, a repeated request gets the answer that the work stored.
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.begin(c)
		t.putAnswer(answer.Status, answer.Body, span{})
		if err := t.commit(); err != nil {
			return s.refused(c, t.internalError(err))
		}
	}
	return answer
}

// work runs the operation and commits its changes together with the answer, which is stored under the key.
func (s *Server) work(c *call, op operation) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(c)
	result, problem := op(t, c)
	if t.err != nil {
		return s.refused(c, t.internalError(t.err))
	}
	if problem != nil {
		a := s.refused(c, problem)
		if c.key != "" && !problem.unstored {
			t.putAnswer(a.Status, a.Body, span{})
		}
		return t.commitAnswer(a)
	}
	body, known, err := c.encode(t, result)
	if err != nil {
		return s.refused(c, t.internalError(err))
	}
	if c.expandsMore() {
		if body, problem = c.expandAll(t, body); problem != nil {
			return s.refused(c, problem)
		}
		known = span{}
	}
	if c.key != "" {
		t.putAnswer(http.StatusOK, body, known)
	}
	return t.commitAnswer(Answer{Status: http.StatusOK, Body: body})
}

func (t *tx) commitAnswer(a Answer) Answer {
	if err := t.commit(); err != nil {
		return t.server.refused(t.call, t.internalError(err))
	}
	return a
}
