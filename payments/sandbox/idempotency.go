package sandbox

import (
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
	key     string
	print   fingerprint
	created int64
	status  int
	body    span
	running bool
}

// moved turns a span relative to a transaction into a span of the journal.
func (a *keyAnswer) moved(start int64) *keyAnswer {
	a.body = a.body.moved(start)
	return a
}

// answerNote is a kept answer in the journal. Its body is the line's data, or
// that of an earlier line in the same transaction.
type answerNote struct {
	Print   []byte `json:"print"`
	Created int64  `json:"created"`
	Status  int    `json:"status"`
	At      int64  `json:"at"`
	Size    int32  `json:"size"`
}

// keyring knows the idempotency keys of the last day. It is guarded by the
// server's lock.
type keyring struct {
	byKey map[string]*keyAnswer
	aging []*keyAnswer // kept answers, oldest first
}

// take claims a key for a new request. If the key has its answer already, that
// is returned instead.
func (k *keyring) take(key string, print fingerprint, now time.Time) (kept *keyAnswer, problem *apiError) {
	k.forget(now)
	known, ok := k.byKey[key]
	switch {
	case !ok:
		k.byKey[key] = &keyAnswer{key: key, print: print, running: true}
		return nil, nil
	case known.print != print:
		return nil, &apiError{
			Type: typeIdempotency, status: http.StatusBadRequest,
			Message: fmt.Sprintf("Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.", key),
		}
	case known.running:
		return nil, &apiError{
			Type: typeIdempotency, Code: "idempotency_key_in_use", status: http.StatusConflict,
			Message: fmt.Sprintf("There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): %s. Please try again when the other request completes.", key),
		}
	}
	return known, nil
}

// keep gives a key its answer.
func (k *keyring) keep(a *keyAnswer) {
	k.byKey[a.key] = a
	k.aging = append(k.aging, a)
}

// release frees a key whose request ended without an answer worth keeping.
func (k *keyring) release(key string) {
	if a := k.byKey[key]; a != nil && a.running {
		delete(k.byKey, key)
	}
}

// forget drops keys that are a day old.
func (k *keyring) forget(now time.Time) {
	limit := now.Add(-keyLifetime).Unix()
	for len(k.aging) > 0 && k.aging[0].created <= limit {
		old := k.aging[0]
		k.aging[0], k.aging = nil, k.aging[1:]
		if k.byKey[old.key] == old {
			delete(k.byKey, old.key)
		}
	}
}

// keepAnswer stores what the request is told under its key, in the same
// transaction as what it did.
func (t *tx) keepAnswer(status int, body []byte, known span) {
	a := &keyAnswer{key: t.call.key, print: t.call.print, created: t.now.Unix(), status: status, body: known}
	note := answerNote{Print: a.print[:], Created: a.created, Status: status, At: known.at, Size: known.size}
	encoded, err := json.Marshal(note)
	if err != nil {
		t.fail(err)
		return
	}
	head := lineHead{Kind: lineAnswer, ID: a.key, Note: encoded}
	if known.size > 0 {
		t.line(head, nil)
	} else {
		_, a.body = t.line(head, body)
	}
	t.answers = append(t.answers, a)
}

// once does a request's work unless its key shows that it was done before.
func (s *Server) once(ctx context.Context, c *call, op operation) reply {
	if c.key == "" {
		return reply{Answer: s.intercepted(ctx, c, op)}
	}
	s.mu.Lock()
	kept, problem := s.keys.take(c.key, c.print, s.config.Now())
	s.mu.Unlock()
	if problem != nil {
		return reply{Answer: s.refused(c, problem)}
	}
	if kept != nil {
		return s.replayed(c, kept)
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keys.release(c.key)
	}()
	return reply{Answer: s.intercepted(ctx, c, op)}
}

func (s *Server) replayed(c *call, kept *keyAnswer) reply {
	body, err := s.journal.read(kept.body)
	if err != nil {
		s.config.Logger.Error("replay sandbox answer", "request", c.id, "error", err)
		return reply{Answer: s.refused(c, internalError())}
	}
	return reply{Answer: Answer{Status: kept.status, Body: body}, replayed: true}
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
