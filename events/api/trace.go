package api

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
)

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
