package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"tillstream/cmd/internal/output"
)

// operationProgress displays the progress of operations before and after the purchases, such as reading files and summing
// orders. On a terminal it overwrites one line; elsewhere it writes a line every ten seconds. A nil one writes nothing.
type operationProgress struct {
	to       io.Writer
	terminal bool
	every    time.Duration
	now      func() time.Time

	operation string    // displayed; empty: none
	due       time.Time // of the next line
}

func newOperationProgress(to io.Writer) *operationProgress {
	p := &operationProgress{to: to, terminal: isTerminal(to), every: 10 * time.Second, now: time.Now}
	if p.terminal {
		p.every = 100 * time.Millisecond
	}
	return p
}

// report implements [loadgen.ProgressFunc].
func (p *operationProgress) report(operation string, done, total int) {
	if p == nil {
		return
	}
	now := p.now()
	if operation != p.operation {
		p.operation, p.due = operation, now.Add(p.every)
		if p.terminal {
			p.due = now
		}
	}
	if now.Before(p.due) {
		return
	}
	p.due = now.Add(p.every)
	text := fmt.Sprintf("%s: %d", operation, done)
	if total > 0 {
		text = fmt.Sprintf("%s: %d/%d", operation, done, total)
	}
	if p.terminal {
		fmt.Fprint(p.to, output.ProgressLine(text))
		return
	}
	fmt.Fprintln(p.to, text)
}

// done removes the line before other output is written.
func (p *operationProgress) done() {
	if p == nil || p.operation == "" {
		return
	}
	p.operation = ""
	if p.terminal {
		fmt.Fprint(p.to, output.ClearLine)
	}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
