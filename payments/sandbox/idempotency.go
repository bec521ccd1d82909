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
)

// keyLifetime is how long Stripe remembers an idempotency key.
const keyLifetime = 24 * time.Hour

// longestKey is Stripe's limit on a key's length.
const longestKey = 255

// fingerprint tells requests apart that came under one key.
type fingerprint [16]byte

// keyAnswer is what a key stands for: a request and what it was told.
type keyAnswer struct {
	print   fingerprint
	created int64
	status  int
	body    []byte
}

// answerNote is a kept answer in the journal. Its body is the line's data, or
// that of an earlier line in the same transaction, or the note's when a line
// could not hold it.
type answerNote struct {
	Print   []byte `json:"print"`
	Created int64  `json:"created"`
	Status  int    `json:"status"`
	At      int64  `json:"at"`
	Size    int32  `json:"size"`
	Raw     []byte `json:"raw,omitempty"`
}

// expired tells that a key does not stand for its answer any more.
func expired(created int64, now time.Time) bool { return created <= now.Add(-keyLifetime).Unix() }

// keyring knows which requests run under an idempotency key, and where the
// transactions begin in which the keys of the last day got their answers. It is
// guarded by the server's lock.
type keyring struct {
	running map[string]fingerprint

	// Answers are found by the hash of their key. Every day the recent ones
	// become old, and those that were old before are forgotten.
	recent, old map[uint64]int64
	since       time.Time // the recent ones' first day began
}

func newKeyring() keyring {
	return keyring{running: make(map[string]fingerprint), recent: make(map[uint64]int64)}
}

// claim takes a key for a new request, unless it is taken.
func (k *keyring) claim(key string, print fingerprint) *apiError {
	known, ok := k.running[key]
	switch {
	case !ok:
		k.running[key] = print
		return nil
	case known != print:
		return otherRequest(key)
	}
	return &apiError{
		Type: typeIdempotency, Code: "idempotency_key_in_use", status: http.StatusConflict,
		Message: fmt.Sprintf("There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): %s. Please try again when the other request completes.", key),
	}
}

func otherRequest(key string) *apiError {
	return &apiError{
		Type: typeIdempotency, status: http.StatusBadRequest,
		Message: fmt.Sprintf("Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.", key),
	}
}

// release frees a key whose request has ended.
func (k *keyring) release(key string) { delete(k.running, key) }

// keep notes in which transaction a key got its answer.
func (k *keyring) keep(key string, at int64, now time.Time) {
	if now.Sub(k.since) >= keyLifetime {
		k.recent, k.old, k.since = make(map[uint64]int64), k.recent, now
	}
	k.recent[hashOf(key)] = at
}

// find returns the transaction in which a key may have got its answer.
func (k *keyring) find(key string) (at int64, ok bool) {
	hash := hashOf(key)
	if at, ok = k.recent[hash]; !ok {
		at, ok = k.old[hash]
	}
	return at, ok
}

// keepAnswer stores what the request is told under its key, in the same
// transaction as what it did.
func (t *tx) keepAnswer(status int, body []byte, known span) {
	key := t.call.key
	note := answerNote{Print: t.call.print[:], Created: t.now.Unix(), Status: status, At: known.at, Size: known.size}
	switch {
	case known.size > 0:
		body = nil
	case bytes.IndexByte(body, '\n') >= 0: // an interceptor's
		note.Raw, body = body, nil
	}
	t.line(lineAnswer, key, note, body)
	t.installs = append(t.installs, func(at int64) { t.server.keys.keep(key, at, t.now) })
}

// answerTo returns what a key stands for, nil if nothing (any more).
func (s *Server) answerTo(key string) (*keyAnswer, error) {
	at, ok := s.keys.find(key)
	if !ok {
		return nil, nil
	}
	written, err := s.journal.read(at)
	if err != nil {
		return nil, err
	}
	l, err := written.last(func(l line) bool { return l.kind == lineAnswer })
	if err == nil && string(l.id) != key {
		return nil, nil // another key with the same hash
	}
	var a *keyAnswer
	if err == nil {
		a, err = written.answer(l)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: answer in the transaction at byte %d: %w", ErrJournal, at, err)
	}
	if expired(a.created, s.config.Now()) {
		return nil, nil
	}
	return a, nil
}

// answer decodes one of the record's lines.
func (r record) answer(l line) (*keyAnswer, error) {
	var note answerNote
	if err := json.Unmarshal(l.note, &note); err != nil {
		return nil, err
	}
	a := &keyAnswer{created: note.Created, status: note.Status, body: l.data}
	if copy(a.print[:], note.Print) != len(a.print) {
		return nil, fmt.Errorf("fingerprint has %d bytes", len(note.Print))
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

// take claims the call's key for a new request. If the key has its answer
// already, that is returned instead.
func (s *Server) take(c *call) (kept *keyAnswer, problem *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.answerTo(c.key)
	switch {
	case err != nil:
		s.config.Logger.Error("replay sandbox answer", "request", c.id, "error", err)
		return nil, internalError()
	case kept == nil:
		return nil, s.keys.claim(c.key, c.print)
	case kept.print != c.print:
		return nil, otherRequest(c.key)
	}
	return kept, nil
}

// once does a request's work unless its key shows that it was done before.
func (s *Server) once(ctx context.Context, c *call, op operation) reply {
	if c.key == "" {
		return reply{Answer: s.intercepted(ctx, c, op)}
	}
	kept, problem := s.take(c)
	if problem != nil {
		return reply{Answer: s.refused(c, problem)}
	}
	if kept != nil {
		return reply{Answer: Answer{Status: kept.status, Body: kept.body}, replayed: true}
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keys.release(c.key)
	}()
	return reply{Answer: s.intercepted(ctx, c, op)}
}

// fingerprintOf condenses path and parameters. Of a card number only what may
// be kept goes in, because a fingerprint in the journal must not let anybody
// find the number by trying them all.
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
		write(harmless(name, f[name]))
	}
	return fingerprint(hash.Sum(nil)[:16])
}

func harmless(name, value string) string {
	switch {
	case strings.HasSuffix(name, "[number]"):
		return value[max(0, len(value)-4):]
	case strings.HasSuffix(name, "[cvc]"):
		return ""
	}
	return value
}
