package main

import (
	"bytes"
	"strings"
	"testing"
)

// However narrow the terminal is, the bar is one line and goes when something else is written.
func TestTheBarIsOneLine(t *testing.T) {
	t.Parallel()
	var drawn bytes.Buffer
	out := &terminal{out: &drawn, err: &drawn, live: true}
	for _, total := range []uint64{0, 2_000} {
		drawn.Reset()
		out.bar("verify: orders again", 1_000, total)
		if got := drawn.String(); !strings.HasPrefix(got, "\r\x1b[K\x1b[?7lverify: ") || !strings.HasSuffix(got, "\x1b[?7h") {
			t.Errorf("of %d: drew %q; want it cleared, and not wrapped", total, got)
		}
	}
	drawn.Reset()
	out.note("done")
	if got := drawn.String(); got != "\r\x1b[Kdone\n" {
		t.Errorf("a note after the bar is %q", got)
	}
	drawn.Reset()
	(&terminal{out: &drawn, err: &drawn}).bar("verify", 1, 2)
	if drawn.Len() > 0 {
		t.Errorf("drew %q where nobody looks", drawn.String())
	}
}
