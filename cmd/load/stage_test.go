package main

import (
	"bytes"
	"testing"
	"time"
)

func TestAStageIsTold(t *testing.T) {
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
			s := &stage{to: &drawn, terminal: test.terminal, every: 10 * time.Second, now: func() time.Time { return now }}
			s.told("reading", 1, 9)
			s.told("reading", 2, 9)
			now = now.Add(10 * time.Second)
			s.told("reading", 3, 9)
			s.told("summing", 7, 0)
			s.over()
			s.over()
			if drawn.String() != test.want {
				t.Errorf("drew %q, want %q", &drawn, test.want)
			}
		})
	}
	var nobody *stage
	nobody.told("reading", 1, 9)
	nobody.over()
}
