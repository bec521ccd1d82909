package main

import (
	"bytes"
	"testing"
	"time"
)

func TestOperationProgressIsDisplayed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		terminal bool
		want     string
	}{
		"Terminal": {true, "\r\x1b[K\x1b[?7lreading: 1/9\x1b[?7h\r\x1b[K\x1b[?7lreading: 3/9\x1b[?7h\r\x1b[K\x1b[?7lsumming: 7\x1b[?7h\r\x1b[K"},
		"Piped":    {false, "reading: 3/9\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var drawn bytes.Buffer
			now := time.Unix(0, 0)
			p := &operationProgress{to: &drawn, terminal: test.terminal, every: 10 * time.Second, now: func() time.Time { return now }}
			p.report("reading", 1, 9)
			p.report("reading", 2, 9)
			now = now.Add(10 * time.Second)
			p.report("reading", 3, 9)
			p.report("summing", 7, 0)
			p.done()
			p.done()
			if drawn.String() != test.want {
				t.Errorf("got %q, want %q", &drawn, test.want)
			}
		})
	}
	var none *operationProgress // must not panic
	none.report("reading", 1, 9)
	none.done()
}
