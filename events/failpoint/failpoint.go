package failpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// armed is nil in every process that is not being tested.
var armed atomic.Pointer[minefield]

// At is a moment that a test may choose.
func At(point string) {
	if m := armed.Load(); m != nil {
		m.pass("", point)
	}
}

// AtPlace is a moment that is passed in many places, in one of them.
func AtPlace(place, point string) {
	if m := armed.Load(); m != nil {
		m.pass(place, point)
	}
}

// Config say where this process is to be hurt.
type Config struct {
	Kill string // where it kills itself, as [Parse] reads it; default nowhere
	Stop string // where it stands still; default nowhere
	// File is looked into whenever a point is passed. Once it is there and holds a line for [ParseLine], the first process
	// to get to that moment renames it to the same name with a dot and its process id, and then is hurt. Default: no file.
	File string
}

// Arm lays traps for this process, for the rest of its life. It returns [ErrUnknownPoint], [ErrBadTrigger] or
// [ErrUnsupported]. Config that are all empty arm nothing.
func Arm(traps Config) error {
	if traps == (Config{}) {
		return nil
	}
	m := &minefield{file: traps.File, hurt: hurt}
	for _, text := range []struct {
		trap string
		stop bool
	}{{traps.Kill, false}, {traps.Stop, true}} {
		if text.trap == "" {
			continue
		}
		t, err := Parse(text.trap)
		if err != nil {
			return err
		}
		t.Stop = text.stop
		m.fixed = append(m.fixed, &counted{Trigger: t})
	}
	if traps.Stop != "" && !canStop {
		return fmt.Errorf("stop at %s: %w", traps.Stop, ErrUnsupported)
	}
	armed.Store(m)
	return nil
}

// minefield is the traps of an armed process.
type minefield struct {
	file string
	hurt func(stop bool)

	mu    sync.Mutex // one moment at a time: who is hurt is hurt exactly there
	fixed []*counted
	laid  counted // what the file held last
}

// counted is a trap and how often its moment was passed.
type counted struct {
	Trigger
	passed int
}

// pass hurts the process if this is the moment.
func (m *minefield) pass(place, point string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.fixed {
		if t.steps(place, point) && t.passed == t.Pass {
			m.hurt(t.Stop)
		}
	}
	if m.file != "" {
		m.look(place, point)
	}
}

// steps counts a moment, if it is the trap's.
func (c *counted) steps(place, point string) bool {
	if !c.matches(place, point) {
		return false
	}
	c.passed++
	return true
}

// look reads the file, which usually is not there. One that cannot be read is a mistake of the test that wrote it, and
// there is nobody to return an error to.
func (m *minefield) look(place, point string) {
	data, err := os.ReadFile(m.file)
	if errors.Is(err, fs.ErrNotExist) {
		m.laid = counted{}
		return
	}
	if err != nil {
		panic(fmt.Sprintf("read trap: %v", err))
	}
	trap, err := ParseLine(string(data))
	if err != nil {
		panic(fmt.Sprintf("read trap %s: %v", m.file, err))
	}
	if trap != m.laid.Trigger {
		m.laid = counted{Trigger: trap}
	}
	if !m.laid.steps(place, point) || m.laid.passed < trap.Pass {
		return
	}
	m.laid = counted{}
	// Of several processes that get here one can rename the file.
	if os.Rename(m.file, fmt.Sprintf("%s.%d", m.file, os.Getpid())) == nil {
		m.hurt(trap.Stop)
	}
}
