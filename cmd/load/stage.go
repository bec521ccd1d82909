package main

import (
	"fmt"
	"io"
	"time"

	"tillstream/cmd/internal/ansi"
)

// stage tells how far a run is with what it does before and after the purchases, such as reading files and summing orders.
// On a terminal one line is written over itself; elsewhere a line is written every ten seconds. A nil stage
// writes nothing.
type stage struct {
	to       io.Writer
	terminal bool
	every    time.Duration
	now      func() time.Time

	what string    // that is told of; empty: nothing
	due  time.Time // when there may be a line again
}

func newStage(to io.Writer) *stage {
	s := &stage{to: to, terminal: isTerminal(to), every: 10 * time.Second, now: time.Now}
	if s.terminal {
		s.every = 100 * time.Millisecond
	}
	return s
}

// told implements [loadgen.ProgressFunc]. A total of 0 means that the end is not known.
func (s *stage) told(what string, done, total int) {
	if s == nil {
		return
	}
	now := s.now()
	if what != s.what {
		s.what, s.due = what, now.Add(s.every)
		if s.terminal {
			s.due = now
		}
	}
	if now.Before(s.due) {
		return
	}
	s.due = now.Add(s.every)
	text := fmt.Sprintf("%s: %d", what, done)
	if total > 0 {
		text = fmt.Sprintf("%s: %d/%d", what, done, total)
	}
	if s.terminal {
		fmt.Fprint(s.to, ansi.Line(text))
		return
	}
	fmt.Fprintln(s.to, text)
}

// over takes the line away before something else is written.
func (s *stage) over() {
	if s == nil || s.what == "" {
		return
	}
	s.what = ""
	if s.terminal {
		fmt.Fprint(s.to, ansi.Clear)
	}
}
