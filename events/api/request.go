package api

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrBadCursor is returned for a paging cursor that did not come from a page of this API.
var ErrBadCursor = errors.New("bad cursor")

// EncodeCursor returns the cursor of the page after the row with a key. Clients send the cursor back unchanged.
func EncodeCursor(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// DecodeCursor decodes a cursor of [EncodeCursor] and parses its key. It returns [ErrBadCursor] when either fails.
func DecodeCursor[K any](cursor string, parse func(key string) (K, error)) (K, error) {
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	var key K
	if err == nil {
		key, err = parse(string(data))
	}
	if err != nil {
		return key, fmt.Errorf("%w: %.80q", ErrBadCursor, cursor)
	}
	return key, nil
}

// traceParentPattern matches the traceparent header of version 00 (www.w3.org/TR/trace-context §3.2). A higher version may
// append fields after a dash.
var traceParentPattern = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$`)

// TraceParent returns the trace context of a request's traceparent header, "" for a request without one. A malformed header
// starts a new trace, as the specification requires (§4.3), and never fails the request.
func TraceParent(header string) string {
	if header == "" {
		return ""
	}
	m := traceParentPattern.FindStringSubmatch(header)
	if m == nil || m[1] == "ff" || m[1] == "00" && m[4] != "" || strings.Trim(m[2], "0") == "" || strings.Trim(m[3], "0") == "" {
		return newTraceParent()
	}
	return header[:len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
}

func newTraceParent() string {
	var id [24]byte
	rand.Read(id[:]) // never fails
	return "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-01"
}
